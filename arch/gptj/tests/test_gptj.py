"""How much of a head rotates, and which tensors are no weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_gptj.model import GPTJ, WEIGHTS, GPTJConfig
from tramontane_arch_gptj.plugin import TINY


def test_how_much_of_a_head_rotates() -> None:
    with torch.device("meta"):
        model = GPTJ(read_config(GPTJConfig, {**TINY, "rotary_dim": 6}))
    layer: Any = model.model.layers[0]
    assert (layer.self_attn.rope.dim, layer.self_attn.d_head) == (6, 8)
    assert model.lm_head.bias is not None


def test_masks_are_no_weights() -> None:
    assert follow("transformer.h.0.attn", "masked_bias", WEIGHTS["hf"]) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_act": "silu"}, "hidden_act"),
        ({"n_head": 5, "rotary_dim": 4}, "hidden_size 32"),
        ({"rotary_dim": 5}, "turns pairs"),
        ({"rotary_dim": 64}, "rotary_dim=64 of 8"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(GPTJConfig, {**TINY, "rotary_dim": 4, **change})


@pytest.mark.parametrize("rotated", [0, -2, 10, 10**4000, "4", 4.0, [4]])
def test_parts_of_heads_that_cannot_be(rotated: Any) -> None:
    with pytest.raises(ConfigError, match="rotary_dim="):
        read_config(GPTJConfig, {**TINY, "rotary_dim": rotated})
