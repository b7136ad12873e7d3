"""Rows of groups, biases, and configurations as they are published."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.checkpoint.rules import Split
from tramontane.config import read_config
from tramontane.config.rope_scaling import Dynamic
from tramontane.errors import ConfigError
from tramontane.layouts import Dense
from tramontane_arch_internlm.model import (
    WEIGHTS_2,
    InternLm,
    InternLm3,
    InternLm3Config,
    InternLmConfig,
)
from tramontane_arch_internlm.plugin import TINY

CHAT_7B = {
    "bias": True, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 11008,
    "max_position_embeddings": 2048, "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 32, "rms_norm_eps": 1e-6, "rotary": {"base": 10000, "type": "dynamic"},
    "tie_word_embeddings": False, "vocab_size": 103168,
}  # fmt: skip
CHAT_7B_2 = {
    "bias": False, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
    "max_position_embeddings": 32768, "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-5, "rope_theta": 1000000,
    "rope_scaling": {"type": "dynamic", "factor": 2.0}, "vocab_size": 92544,
}  # fmt: skip
INSTRUCT_8B_3 = {
    "bias": False, "qkv_bias": False, "head_dim": 128, "hidden_act": "silu", "hidden_size": 4096,
    "intermediate_size": 10240, "max_position_embeddings": 32768, "num_attention_heads": 32,
    "num_hidden_layers": 48, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
    "rope_scaling": {"factor": 6.0, "rope_type": "dynamic"}, "rope_theta": 50000000,
    "vocab_size": 128512,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "told", "theta", "factor"),
    [
        (InternLmConfig, CHAT_7B, 1e4, 1.0),
        (InternLmConfig, CHAT_7B_2, 1e6, 2.0),
        (InternLm3Config, INSTRUCT_8B_3, 5e7, 6.0),
    ],
)
def test_published_configurations(
    config: type[InternLmConfig], told: dict[str, Any], theta: float, factor: float
) -> None:
    found = read_config(config, told)
    assert isinstance(found.rope_scaling, Dynamic)
    assert (found.rope_theta, found.rope_scaling.factor) == (theta, factor)
    assert (found.bias, found.tie_word_embeddings) == (told["bias"], False)


def test_rows_of_a_group_lie_together() -> None:
    """Two groups of two heads of queries, then one of keys and one of values."""
    with torch.device("meta"):
        model = InternLm(read_config(InternLmConfig, TINY))
    split = next(rule for rule in WEIGHTS_2["hf"] if isinstance(rule, Split))
    heads = torch.arange(8).repeat_interleave(8)[:, None] * torch.ones(1, 32)
    stem = "model.layers.0.self_attn"
    found = [split.change(Dense(heads), f"{stem}.{part}_proj", model) for part in "qkv"]
    assert [layout.decode()[::8, 0].tolist() for layout in found] == [[0, 1, 4, 5], [2, 6], [3, 7]]


def test_biases_of_the_third() -> None:
    told = TINY | {"bias": True, "qkv_bias": False}
    with torch.device("meta"):
        layer: Any = InternLm3(read_config(InternLm3Config, told)).model.layers[0]
    found = (layer.self_attn.q_proj.bias, layer.self_attn.o_proj.bias, layer.mlp.up_proj.bias)
    assert [each is not None for each in found] == [False, True, True]


def test_what_is_not_supported_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="hidden_act"):
        read_config(InternLmConfig, {**TINY, "hidden_act": "gelu"})
