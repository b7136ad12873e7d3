"""Which layers are dense, which have a window, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_dots.model import Dots1, Dots1Config
from tramontane_arch_dots.plugin import TINY


def test_the_first_layers_are_dense() -> None:
    with torch.device("meta"):
        layers: Any = Dots1(read_config(Dots1Config, TINY)).model.layers
    assert [hasattr(layer.mlp, "experts") for layer in layers] == [False, True]
    assert layers[1].mlp.shared_experts.up_proj.weight.shape[0] == 48


@pytest.mark.parametrize(
    ("change", "windows"),
    [
        ({}, [None, None]),
        ({"max_window_layers": 1}, [None, 4096]),
        ({"max_window_layers": 0, "sliding_window": None}, [None, None]),
        ({"layer_types": ["sliding_attention", "full_attention"]}, [4096, None]),
        ({"max_window_layers": 0, "expert_gating_func": 2}, [None, None]),
    ],
)
def test_which_layers_have_a_window(change: dict[str, Any], windows: list[int | None]) -> None:
    cfg = read_config(Dots1Config, {**TINY, **change})
    assert [cfg.window(index) for index in range(2)] == windows


@pytest.mark.parametrize(
    "change",
    [{"hidden_act": "gelu"}, {"scoring_func": "softmax"}, {"n_shared_experts": None},
     {"n_routed_experts": 0}],
    ids=str,
)  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(Dots1Config, {**TINY, **change})
