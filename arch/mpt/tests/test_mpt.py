"""What is inside attn_config, and what of it is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_mpt.model import Mpt, MptConfig
from tramontane_arch_mpt.plugin import TINY


def test_settings_of_attention() -> None:
    inner = {"clip_qkv": 6.0, "alibi_bias_max": 16, "softmax_scale": 0.5}
    config = read_config(MptConfig, {**TINY, "attn_config": inner})
    assert (config.clip_qkv, config.max_alibi_bias, config.intermediate_size) == (6.0, 16.0, 128)
    with torch.device("meta"):
        layer: Any = Mpt(config).model.layers[0]
    assert layer.self_attn.scale == 0.5
    assert layer.self_attn.alibi[0] == 2**-4
    assert layer.input_layernorm.bias is None


def test_queries_keys_and_values_stay_in_bounds() -> None:
    model = Mpt(read_config(MptConfig, {**TINY, "attn_config": {"clip_qkv": 0.01}}))
    attention: Any = model.model.layers[0].self_attn
    for part in (attention.q_proj, attention.k_proj, attention.v_proj):
        torch.nn.init.normal_(part.weight.data)
    for each in attention.project(torch.randn(5, 32)):
        assert each.abs().max() == pytest.approx(0.01)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "silu"},
        {"no_bias": False},
        {"logit_scale": 2.0},
        {"expansion_ratio": 2},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(MptConfig, {**TINY, **change})


@pytest.mark.parametrize("inner", [{"alibi": False}, {"qk_ln": True}, {"prefix_lm": True}])
def test_what_is_not_supported_of_attention_is_refused(inner: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(inner))):
        read_config(MptConfig, {**TINY, "attn_config": inner})
