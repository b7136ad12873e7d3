"""Which layers slide, and where the two generations differ."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_qwen.experts import Qwen2MoeConfig, Qwen3MoeConfig
from tramontane_arch_qwen.model import Qwen2, Qwen2Config, Qwen3, Qwen3Config
from tramontane_arch_qwen.plugin import TINY


@pytest.mark.parametrize(
    ("settings", "windows"),
    [
        ({}, [None, None]),
        ({"sliding_window": 8, "max_window_layers": 0}, [None, None]),
        ({"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}, [None, 8]),
        (
            {
                "use_sliding_window": True,
                "sliding_window": 8,
                "layer_types": ["sliding_attention", "full_attention"],
            },
            [8, None],
        ),
        ({"use_sliding_window": True, "sliding_window": None, "max_window_layers": 0}, [None] * 2),
        ({"use_sliding_window": True, "max_window_layers": 1}, [None, 4096]),
    ],
)
def test_which_layers_slide(settings: dict[str, Any], windows: list[int | None]) -> None:
    config = read_config(Qwen2Config, {**TINY, **settings})
    assert [config.window(index) for index in range(2)] == windows


@pytest.mark.parametrize(
    ("config", "windows"),
    [(Qwen2MoeConfig, [8, None, 8, None, None]), (Qwen3MoeConfig, [8] * 5)],
)
def test_which_layers_slide_with_experts(config: Any, windows: list[int | None]) -> None:
    """Of Qwen2 every second one up to `max_window_layers`, of Qwen3 all."""
    told = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 3}
    read = read_config(config, {**TINY, **told, "num_hidden_layers": 5})
    assert [read.window(index) for index in range(5)] == windows


@pytest.mark.parametrize(
    "change", [{"use_sliding_window": False}, {"use_sliding_window": True, "sliding_window": None}]
)
def test_windows_that_are_said_two_ways_are_refused(change: dict[str, Any]) -> None:
    told = {**TINY, "layer_types": ["sliding_attention", "full_attention"], **change}
    with pytest.raises(ConfigError, match=r"layer_types has sliding_attention, .*sliding_window"):
        read_config(Qwen2Config, told)


def test_biases_and_norms() -> None:
    with torch.device("meta"):
        second: Any = Qwen2(read_config(Qwen2Config, TINY)).model.layers[0]
        third: Any = Qwen3(read_config(Qwen3Config, {**TINY, "head_dim": 16})).model.layers[0]
    assert second.self_attn.q_proj.bias is not None
    assert second.self_attn.o_proj.bias is None
    assert second.self_attn.q_norm is None
    assert third.self_attn.q_proj.bias is None
    assert third.self_attn.q_norm.weight.shape == (16,)


@pytest.mark.parametrize(
    "change", [{"hidden_act": "relu"}, {"layer_types": ["linear_attention", "full_attention"]}]
)
def test_what_is_not_supported_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(Qwen2Config, {**TINY, **change})
