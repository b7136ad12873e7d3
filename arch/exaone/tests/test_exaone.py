"""Which layers see a window, and which rotate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_exaone.model import Exaone, ExaoneConfig
from tramontane_arch_exaone.plugin import TINY

FOUR = {**TINY, "num_hidden_layers": 4, "sliding_window": 8}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, "LLLG"),
        ({"sliding_window_pattern": 2}, "LGLG"),
        ({"sliding_window_pattern": "LG"}, "LGLG"),
        ({"sliding_window_pattern": "LLLG", "layer_types": ["full_attention"] * 4}, "GGGG"),
        ({"sliding_window_pattern": 0}, "GGGG"),
        ({"sliding_window": None, "sliding_window_pattern": "LLLG"}, "rrrr"),
        ({"sliding_window": None}, "rrrr"),
    ],
)
def test_layers(told: dict[str, Any], expected: str) -> None:
    """L: sees a window and rotates. G: sees everything, does not rotate. r: sees it and does."""
    config = read_config(ExaoneConfig, {**FOUR, **told})
    with torch.device("meta"):
        layers: list[Any] = list(Exaone(config).model.layers)
    kinds = {(True, True): "L", (False, False): "G", (False, True): "r"}
    found = [(a.window is not None, a.rope is not None) for a in (x.self_attn for x in layers)]
    assert "".join(kinds[each] for each in found) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"sliding_window_pattern": "LLX"},
        {"sliding_window_pattern": ""},
        {"sliding_window": 0},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(ExaoneConfig, {**FOUR, **change})
