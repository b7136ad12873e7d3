"""Which layers have which heads, whose keys and values they read, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_gemma.gemma4 import Gemma4
from tramontane_arch_gemma.gemma4_config import Gemma4Config, Gemma4UnifiedConfig, fields
from tramontane_arch_gemma.gemma4_weights import weights
from tramontane_arch_gemma.plugin import TINY

SMALL = {**TINY, "num_hidden_layers": 6, "sliding_window": 8, "sliding_window_pattern": 2,
         "global_head_dim": 24, "hidden_size_per_layer_input": 8,
         "vocab_size_per_layer_input": 64}  # fmt: skip
EXPERTS = {"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2,
           "moe_intermediate_size": 16}  # fmt: skip


def built(**more: Any) -> Any:
    with torch.device("meta"):
        return Gemma4(read_config(Gemma4Config, {**SMALL, **more}))


def test_the_last_layers_share_what_the_last_of_their_kind_stores() -> None:
    cfg = read_config(Gemma4Config, {**SMALL, "num_kv_shared_layers": 3})
    assert [cfg.keeps(index) for index in range(6)] == [0, 1, 2, 1, 2, 1]
    wide = [layer.mlp.up_proj.weight.shape[0] for layer in built(
        num_kv_shared_layers=3, use_double_wide_mlp=True).model.layers]  # fmt: skip
    assert wide == [48] * 3 + [96] * 3


def test_what_checkpoints_have_for_sharing_layers_is_left_out() -> None:
    rules = weights(read_config(Gemma4Config, {**SMALL, "num_kv_shared_layers": 3}))
    for dialect in ("hf", "gguf"):
        assert follow("model.layers.3.self_attn.k_proj", "weight", rules[dialect]) == []
        assert follow("model.layers.2.self_attn.k_proj", "weight", rules[dialect]) != []
        assert follow("model.layers.3.self_attn.q_proj", "weight", rules[dialect]) != []


def test_layers_that_see_everything_have_heads_of_their_own() -> None:
    layers = built(attention_k_eq_v=True, num_global_key_value_heads=1).model.layers
    told = [(each.self_attn.d_head, each.self_attn.kv_heads, hasattr(each.self_attn, "v_proj"))
            for each in layers]  # fmt: skip
    assert told == [(16, 2, True), (24, 1, False)] * 3


def test_without_equal_keys_and_values_the_heads_are_as_many() -> None:
    assert {
        each.self_attn.kv_heads for each in built(num_global_key_value_heads=1).model.layers
    } == {2}


def test_the_last_layer_sees_everything() -> None:
    cfg = read_config(
        Gemma4Config, {**SMALL, "layer_types": ["full_attention"] + ["sliding_attention"] * 5}
    )
    assert cfg.window(4) == 8
    assert cfg.window(5) is None


def test_a_quarter_of_the_pairs_rotates() -> None:
    angles = built().model.layers[1].self_attn.rope
    cos, sin = angles.angles(torch.tensor([1000]), torch.tensor([1001]))
    assert (cos[0, 0, 3:] == 1).all()
    assert (sin[0, 0, 3:].abs() < 1e-20).all()
    assert (sin[0, 0, :3].abs() > 1e-3).all()


def test_sizes_by_layer_are_read_as_transformers_writes_them() -> None:
    layers = {str(index): {"head_dim": 24, "num_key_value_heads": 1} for index in (1, 3, 5)}
    told = {key: value for key, value in SMALL.items() if key != "global_head_dim"}
    cfg = read_config(Gemma4Config, {**told, "per_layer_config": layers, "attention_k_eq_v": True})
    assert cfg.heads_of(1) == (24, 1)
    with pytest.raises(ConfigError, match="per_layer_config"):
        read_config(Gemma4Config, {**told, "per_layer_config": {"0": {"head_dim": 24}}})


def test_a_gguf_file_says_it_in_its_own_words() -> None:
    kinds = ["sliding_attention", "full_attention"]
    metadata = {"gemma4.attention.key_length_swa": 16, "gemma4.attention.shared_kv_layers": 1}
    found = fields(metadata, {
        "head_dim": 24, "layer_types": kinds * 2, "num_key_value_heads": (4, 1, 4, 1),
        "intermediate_size": (48, 48, 48, 96), "vocab_size": 64,
        "rope_scaling": {"factors": [1.0] * 3 + [1e30] * 9},
    })  # fmt: skip
    assert found == {
        "global_head_dim": 24, "head_dim": 16, "num_kv_shared_layers": 1,
        "hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 64,
        "num_key_value_heads": 4, "num_global_key_value_heads": 1, "intermediate_size": 48,
        "use_double_wide_mlp": True, "enable_moe_block": False, "rope_scaling": None,
        "global_rotary_factor": 0.25,
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_activation": "relu"},
        {"attention_bias": True},
        {"use_bidirectional_attention": "all"},
        {"num_kv_shared_layers": 5},
        {"num_kv_shared_layers": 6},
        {**EXPERTS, "num_experts": None},
        {"global_head_dim": 23},
        {"attention_k_eq_v": True, "num_global_key_value_heads": 3},
        {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}},
        {"rope_parameters": {"full_attention": {"rope_type": "yarn"}}},
        {"rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2.0}}},
        {"rope_parameters": [1]},
        {"layer_types": 3},
        {"num_hidden_layers": "six"},
        {"per_layer_config": {"1": {"intermediate_size": 5}}},
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    named = {"hidden_activation": "hidden_act", "enable_moe_block": "num_experts",
             "attention_k_eq_v": "num_global_key_value_heads"}  # fmt: skip
    first = next(iter(change))
    with pytest.raises(ConfigError, match=named.get(first, first)):
        read_config(Gemma4Config, {**SMALL, **change})


def test_a_unified_model_has_no_vectors_by_token() -> None:
    told = {key: value for key, value in SMALL.items() if "per_layer" not in key}
    assert read_config(Gemma4UnifiedConfig, told).hidden_size_per_layer_input == 0
