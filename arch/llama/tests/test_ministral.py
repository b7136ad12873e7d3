"""How queries grow with their position, what says so, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tramontane.blocks import Rope
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_llama.ministral import GrowingRope, Ministral3, Ministral3Config
from tramontane_arch_llama.plugin import TINY

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8,
        "llama_4_scaling_beta": 0.2, "rope_theta": 1e6}  # fmt: skip


def test_the_factor_is_that_of_the_formula() -> None:
    plain = Rope(8, 1e4)
    grown = GrowingRope(plain, 0.2, 8)
    where = torch.tensor([0, 7, 8, 15, 16, 800])
    (cos, sin), (wide, high) = plain.angles(where, where + 1), grown.angles(where, where + 1)
    for row, position in enumerate(where.tolist()):
        factor = 1 + 0.2 * math.log(1 + position // 8)
        torch.testing.assert_close(wide[row], cos[row] * factor)
        torch.testing.assert_close(high[row], sin[row] * factor)
    assert grown.settings != plain.settings


@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
def test_settings_are_read_where_they_stand(key: str) -> None:
    cfg = read_config(Ministral3Config, {**TINY, "head_dim": 8, key: YARN})
    assert (cfg.llama_4_scaling_beta, cfg.original_max_position_embeddings) == (0.2, 8)
    assert cfg.rope_theta == 1e6


def test_what_a_configuration_means_that_says_nothing() -> None:
    cfg = read_config(Ministral3Config, TINY)
    assert (cfg.llama_4_scaling_beta, cfg.original_max_position_embeddings) == (0.1, 16_384)


def test_without_a_beta_it_is_plain_attention() -> None:
    with torch.device("meta"):
        layer: Any = Ministral3(read_config(Ministral3Config, {**TINY, "rope_theta": 1e4})).model
    assert not hasattr(layer.layers[0].self_attn, "query_rope")


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"llama_4_scaling_beta": 0.1},
        {"llama_4_scaling_beta": -1.0},
        {"partial_rotary_factor": 0.5, "llama_4_scaling_beta": 0.1,
         "original_max_position_embeddings": 8},
        {"original_max_position_embeddings": 0},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(Ministral3Config, {**TINY, "head_dim": 8, "rope_theta": 1e4, **change})
