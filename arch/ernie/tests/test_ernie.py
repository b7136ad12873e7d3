"""Which layers have experts, which tensors are left out, and what another key is called."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane.layouts import Dense
from tramontane_arch_ernie.model import MOE_WEIGHTS, ErnieMoe, ErnieMoeConfig, Flatten
from tramontane_arch_ernie.plugin import TINY

FOUR = {**TINY, "num_hidden_layers": 4, "moe_num_experts": 4, "moe_k": 2}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, [False, True, True, True]),
        ({"moe_layer_start_index": 0, "moe_layer_interval": 2}, [False, True, False, True]),
        ({"moe_layer_end_index": 2}, [False, True, True, False]),
        ({"first_k_dense_replace": 3}, [False, False, False, True]),
    ],
)
def test_layers_with_experts(told: dict[str, Any], expected: list[bool]) -> None:
    config = read_config(ErnieMoeConfig, {**FOUR, **told})
    with torch.device("meta"):
        layers: list[Any] = list(ErnieMoe(config).model.layers)
    assert [hasattr(layer.mlp, "experts") for layer in layers] == expected


def test_a_balance_of_one_row() -> None:
    rule = Flatten("*")
    out = rule.change(Dense(torch.tensor([[1.0, 2.0]])), "", ErnieMoe.__new__(ErnieMoe))
    assert out.decode().tolist() == [1.0, 2.0]


def test_layers_that_guess_further_tokens_are_left_out() -> None:
    assert follow("model.mtp_block.0.mlp.up_proj", "weight", MOE_WEIGHTS["hf"]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"use_bias": True},
        {"moe_norm_min": 0.5},
        {"moe_num_experts": 0},
        {"moe_layer_interval": 0},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(ErnieMoeConfig, {**FOUR, **change})
