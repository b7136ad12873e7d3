"""What the words of the first configurations mean, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_nomic.model import NomicBertConfig
from tramontane_arch_nomic.plugin import TINY

FIRST = {
    "vocab_size": 64, "n_embd": 32, "n_inner": 48, "n_layer": 2, "n_head": 4, "n_positions": 8192,
    "activation_function": "swiglu", "rotary_emb_base": 5000, "rotary_emb_fraction": 1.0,
    "layer_norm_epsilon": 1e-12, "rotary_scaling_factor": None, "type_vocab_size": 2,
}  # fmt: skip


def test_the_words_of_the_first_configurations() -> None:
    config = read_config(NomicBertConfig, FIRST)
    assert (config.hidden_size, config.intermediate_size, config.num_hidden_layers) == (32, 48, 2)
    assert (config.most_tokens, config.rope_theta) == (8192, 5000.0)


@pytest.mark.parametrize(
    "change",
    [
        {"rotary_emb_fraction": 0.5},
        {"qkv_proj_bias": True},
        {"rotary_scaling_factor": 2.0},
        {"prenorm": True},
        {"rope_parameters": {"rope_type": "dynamic"}},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(NomicBertConfig, {**TINY, **change})
