"""Gemma 4."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import renamed
from .record import Family, Gguf, Tensors


def files_of_today(tensors: Tensors, config: Any) -> Tensors:
    named = renamed(
        tensors,
        ("layer_scalar", "layer_scalar.weight"),
        ("experts.gate_up_proj", "experts.gate_up_proj.weight"),
        ("experts.down_proj", "experts.down_proj.weight"),
    )
    out = {}
    for name, data in named.items():
        layer = name.split(".")[2] if ".router." in name else ""
        if name.endswith("router.scale"):
            name = f"blk.{layer}.ffn_gate_inp.scale"
        elif name.endswith("per_expert_scale"):
            name = f"blk.{layer}.ffn_down_exps.scale"
        out[name] = data
    half = sizes_of_full(config)[0] // 2
    turned = int(config.rope_parameters["full_attention"]["partial_rotary_factor"] * half)
    factors = np.array([1.0] * turned + [1e30] * (half - turned), np.float32)
    return {**out, "rope.freqs.weight": factors}


def sizes_of_full(config: Any) -> tuple[int, int]:
    """d_head and heads of keys, of the layers that see everything."""
    layer = config.per_layer_config[config.layer_types.index("full_attention")]
    return layer.head_dim, layer.num_key_value_heads


def keys(config: Any) -> dict[str, Any]:
    slides = [kind == "sliding_attention" for kind in config.layer_types]
    d_head, kv_heads = sizes_of_full(config)
    told: dict[str, Any] = {
        "attention.key_length": d_head,
        "attention.value_length": d_head,
        "attention.key_length_swa": config.head_dim,
        "attention.value_length_swa": config.head_dim,
        "attention.head_count_kv": [config.num_key_value_heads if s else kv_heads for s in slides],
        "attention.sliding_window": config.sliding_window,
        "attention.sliding_window_pattern": slides,
        "attention.shared_kv_layers": config.num_kv_shared_layers,
        "rope.freq_base": config.rope_parameters["full_attention"]["rope_theta"],
        "rope.freq_base_swa": config.rope_parameters["sliding_attention"]["rope_theta"],
        "rope.dimension_count": d_head,
        "rope.dimension_count_swa": config.head_dim,
        "embedding_length_per_layer_input": config.hidden_size_per_layer_input,
        "final_logit_softcapping": config.final_logit_softcapping,
    }
    if config.use_double_wide_mlp:
        first = config.num_hidden_layers - config.num_kv_shared_layers
        wide = [config.intermediate_size * (1 + (index >= first)) for index in range(len(slides))]
        told["feed_forward_length"] = wide
    if config.enable_moe_block:
        told |= {
            "expert_count": config.num_experts,
            "expert_used_count": config.top_k_experts,
            "expert_feed_forward_length": config.moe_intermediate_size,
        }
    return told


KINDS = ["sliding_attention", "full_attention"]
BY_TOKEN = {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 99}
SMALL = {"head_dim": 12, "global_head_dim": 20, "sliding_window": 7, "num_hidden_layers": 6,
         "layer_types": KINDS * 3}  # fmt: skip
PLAIN = {**SMALL, "hidden_size_per_layer_input": 0}
EQUAL = {"attention_k_eq_v": True, "num_global_key_value_heads": 1}
EXPERTS = {"enable_moe_block": True, "num_experts": 6, "top_k_experts": 3,
           "moe_intermediate_size": 20}  # fmt: skip
SPARSE = {**EQUAL, **EXPERTS, "num_kv_shared_layers": 0, "use_double_wide_mlp": False,
          "hidden_size_per_layer_input": 0, "final_logit_softcapping": 30.0}  # fmt: skip
"""What differs in files of models with experts."""
FAMILIES = {
    "gemma4": Family(
        "Gemma4TextConfig",
        gguf=Gguf(
            "gemma4",
            convert=files_of_today,
            keys=keys,
            plain=("per_expert_scale", "router.scale"),
            sizes={
                "head_dim": 32,
                "global_head_dim": 64,
                "sliding_window": 9,
                "num_hidden_layers": 4,
                "layer_types": KINDS * 2,
                "hidden_size_per_layer_input": 256,
                "vocab_size_per_layer_input": 96,
                "num_kv_shared_layers": 2,
                "use_double_wide_mlp": True,
                "final_logit_softcapping": 5.0,
            },
        ),
        variants={
            "shared": {**SMALL, **BY_TOKEN, "num_kv_shared_layers": 3, "use_double_wide_mlp": True},
            "values-are-keys": {**PLAIN, **EQUAL, "final_logit_softcapping": 3.0},
            "experts": {**PLAIN, **EQUAL, **EXPERTS, "use_bidirectional_attention": "vision"},
            "everything": {**SMALL, **BY_TOKEN, **EQUAL, **EXPERTS, "num_kv_shared_layers": 2},
        },
    ),
    "gemma4-unified": Family(
        "Gemma4UnifiedTextConfig",
        variants={
            "six-layers": {"head_dim": 20, "global_head_dim": 28, "sliding_window": 7,
                           "num_hidden_layers": 6, "num_kv_shared_layers": 0},
        },
    ),
}  # fmt: skip
