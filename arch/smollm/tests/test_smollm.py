"""Which layers know positions, and which see a window."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_smollm.model import SmolLM3, SmolLM3Config
from tramontane_arch_smollm.plugin import TINY


@pytest.mark.parametrize(
    ("change", "rotate"),
    [
        ({}, [True, True, True, False]),
        ({"no_rope_layer_interval": 2}, [True, False, True, False]),
        ({"no_rope_layers": [0, 1, 1, 0]}, [False, True, True, False]),
    ],
)
def test_which_layers_rotate(change: dict[str, Any], rotate: list[bool]) -> None:
    config = read_config(SmolLM3Config, {**TINY, "num_hidden_layers": 4, **change})
    with torch.device("meta"):
        layers: list[Any] = list(SmolLM3(config).model.layers)
    assert [layer.self_attn.rope is not None for layer in layers] == rotate


def test_layers_without_positions_slide_when_told_to() -> None:
    told = {**TINY, "use_sliding_window": True, "sliding_window": 8, "no_rope_layer_interval": 2}
    config = read_config(SmolLM3Config, told)
    assert [config.window(index) for index in range(2)] == [None, 8]


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"no_rope_layers": [2, 0]},
        {"no_rope_layers": [1, 0, 1]},
        {"layer_types": ["linear_attention"] * 2},
        {"sliding_window": 0, "use_sliding_window": True},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(SmolLM3Config, {**TINY, **change})
