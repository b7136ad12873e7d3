"""Configurations as they are published, the head's columns, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.checkpoint.length_rules import LengthsOf
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_bailing.model import (
    Bailing,
    Bailing2,
    Bailing2Config,
    BailingConfig,
    weights,
)
from tramontane_arch_bailing.plugin import GROUPS, TINY

LING_LITE = {
    "first_k_dense_replace": 0, "hidden_act": "silu", "hidden_size": 2048,
    "intermediate_size": 5632, "max_position_embeddings": 16384, "moe_intermediate_size": 1408,
    "multi_gate": False, "norm_head": True, "norm_softmax": False, "norm_topk_prob": True,
    "num_attention_heads": 16, "num_experts": 64, "num_experts_per_tok": 6,
    "num_hidden_layers": 28, "num_key_value_heads": 4, "num_shared_experts": 2,
    "rms_norm_eps": 1e-6, "rope_scaling": None, "rope_theta": 600000, "use_bias": False,
    "use_qkv_bias": False, "vocab_size": 126464,
}  # fmt: skip
LING_MINI_2 = {
    "first_k_dense_replace": 1, "head_dim": 128, "hidden_act": "silu", "hidden_size": 2048,
    "intermediate_size": 5120, "max_position_embeddings": 32768, "moe_intermediate_size": 512,
    "moe_router_enable_expert_bias": True, "moe_shared_expert_intermediate_size": 512,
    "n_group": 8, "norm_topk_prob": True, "num_attention_heads": 16, "num_experts": 256,
    "num_experts_per_tok": 8, "num_hidden_layers": 20, "num_key_value_heads": 4,
    "num_nextn_predict_layers": 0, "num_shared_experts": 1, "partial_rotary_factor": 0.5,
    "rms_norm_eps": 1e-6, "rope_scaling": None, "rope_theta": 600000, "rotary_dim": 64,
    "routed_scaling_factor": 2.5, "score_function": "sigmoid", "tie_word_embeddings": False,
    "topk_group": 4, "use_bias": False, "use_qk_norm": True, "use_qkv_bias": False,
    "use_rmsnorm": True, "vocab_size": 157184,
}  # fmt: skip


def test_published_configurations() -> None:
    first, second = read_config(BailingConfig, LING_LITE), read_config(Bailing2Config, LING_MINI_2)
    assert (first.shared, first.norm_head, first.rope_theta) == (2816, True, 6e5)
    assert (second.shared, second.norm_head, second.partial_rotary_factor) == (512, False, 0.5)
    with torch.device("meta"):
        model: Any = Bailing2(second.model_copy(update={"num_hidden_layers": 2}))
    gate = model.model.layers[1].mlp.gate
    assert (gate.groups, gate.k, gate.scale, gate.normalize) == ((8, 4), 8, 2.5, True)
    assert not hasattr(model.model.layers[0].mlp, "gate")


def test_the_heads_columns_are_divided_where_the_configuration_says_so() -> None:
    for normed in (True, False):
        config = read_config(BailingConfig, TINY | {"norm_head": normed})
        rules = [rule for rule in weights(config)["hf"] if isinstance(rule, LengthsOf)]
        assert bool(rules) == normed
        with torch.device("meta"):
            assert (Bailing(config).head_lengths is not None) == normed


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"use_bias": True},
        {"norm_softmax": True},
        {"score_function": "softmax"},
        {"moe_router_enable_expert_bias": False},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(Bailing2Config, TINY | GROUPS | change)
