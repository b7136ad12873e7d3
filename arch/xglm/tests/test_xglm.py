"""Positions, and a configuration as it is published."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane.layouts import Dense
from tramontane_arch_xglm.model import Positions, Xglm, XglmConfig, sinusoids
from tramontane_arch_xglm.plugin import TINY

XGLM_564M = {
    "activation_function": "gelu", "add_cross_attention": False, "attention_heads": 16,
    "d_model": 1024, "ffn_dim": 4096, "max_position_embeddings": 2048, "num_layers": 24,
    "scale_embedding": True, "vocab_size": 256008, "pad_token_id": 1,
}  # fmt: skip


def test_a_published_configuration() -> None:
    config = read_config(XglmConfig, XGLM_564M)
    assert (config.hidden_size, config.intermediate_size, config.num_hidden_layers) == (
        1024, 4096, 24,
    )  # fmt: skip
    assert (config.head_dim, config.tie_word_embeddings, config.rotary) == (64, True, False)


def test_the_first_token_is_at_position_two() -> None:
    table = sinusoids(5, 8, empty=4)
    rates = [10_000 ** (-i / 3) for i in range(4)]
    wanted = [math.sin(2 * r) for r in rates] + [math.cos(2 * r) for r in rates]
    assert table[0].tolist() == pytest.approx(wanted, abs=1e-6)
    assert table[2].tolist() == [0] * 8
    assert sinusoids(2, 7, empty=None)[:, 6].tolist() == [0, 0]


def test_positions_come_with_the_vectors_of_tokens() -> None:
    with torch.device("meta"):
        model = Xglm(read_config(XglmConfig, TINY))
    rule, stored = Positions(), Dense(torch.ones(64, 32))
    assert rule.change(stored, "model.embed_tokens", model) is stored
    assert rule.change(stored, "positions", model).shape == (64, 32)


@pytest.mark.parametrize("change", [{"hidden_act": "silu"}, {"add_cross_attention": True}])
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(XglmConfig, {**TINY, **change})
