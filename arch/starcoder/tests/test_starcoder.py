"""How many keys there are, and what the older configuration's words mean."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_starcoder.model import GPTBigCodeConfig, Starcoder2, Starcoder2Config
from tramontane_arch_starcoder.plugin import TINY

OLD = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}


@pytest.mark.parametrize(("change", "count"), [({}, 1), ({"multi_query": False}, 4)])
def test_one_key_for_all_heads_unless_it_is_said(change: dict[str, Any], count: int) -> None:
    config = read_config(GPTBigCodeConfig, {**OLD, **change})
    assert config.num_key_value_heads == count
    assert (config.hidden_size, config.intermediate_size) == (32, 128)


def test_biases_can_be_left_out() -> None:
    with torch.device("meta"):
        model = Starcoder2(read_config(Starcoder2Config, {**TINY, "use_bias": False}))
    layer: Any = model.model.layers[0]
    assert layer.self_attn.o_proj.bias is None
    assert layer.mlp.up_proj.bias is None
    assert layer.input_layernorm.bias is not None


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "relu"},
        {"add_cross_attention": True},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(GPTBigCodeConfig, {**OLD, **change})
