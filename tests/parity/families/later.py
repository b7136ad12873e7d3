"""Command R, Seed-OSS, Arcee, Nemotron, EXAONE 4, StableLM, ERNIE 4.5 and Apertus."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import interleaved, renamed, stacked
from .record import ROPES, Family, Gguf, Tensors, rope

COHERE2 = {"sliding_window": 7, "num_hidden_layers": 4}


def cohere_keys(config: Any) -> dict[str, Any]:
    return {
        "attention.layer_norm_epsilon": config.layer_norm_eps,
        "logit_scale": config.logit_scale,
        "attention.sliding_window": getattr(config, "sliding_window", None),
    }


def rotated_part(config: Any) -> dict[str, Any]:
    d_head = config.hidden_size // config.num_attention_heads
    part: float = config.rope_parameters["partial_rotary_factor"]
    return {"rope.dimension_count": int(d_head * part)}


def one_more(tensors: Tensors, config: Any) -> Tensors:
    return {
        name: data + 1 if name.endswith("norm.weight") else data for name, data in tensors.items()
    }


def kinds_of_layers(config: Any) -> dict[str, Any]:
    slides = [kind == "sliding_attention" for kind in config.layer_types]
    window = config.sliding_window
    return {
        "attention.sliding_window": window,
        "attention.sliding_window_pattern": None if window is None else slides,
    }


def heads_norms(tensors: Tensors, config: Any) -> Tensors:
    """Norms of single heads as one tensor, (heads, d_head)."""
    out = {name: data for name, data in tensors.items() if ".norms." not in name}
    counts = {"q": config.num_attention_heads, "k": config.num_key_value_heads}
    for layer in range(config.num_hidden_layers):
        for part, count in counts.items():
            stem = f"model.layers.{layer}.self_attn.{part}_layernorm"
            found = [tensors.get(f"{stem}.norms.{head}.weight") for head in range(count)]
            if found[0] is not None:
                out[f"{stem}.weight"] = np.stack(found)
    return out


ERNIE_MOE = {
    "moe_num_experts": 6,
    "moe_k": 2,
    "moe_intermediate_size": 40,
    "moe_num_shared_experts": 2,
}


def ernie_moe(tensors: Tensors, config: Any) -> Tensors:
    told = renamed(stacked(tensors, config), ("_correction_bias", "_correction.bias"))
    return {
        name: data.reshape(-1) if "moe_statics" in name else data for name, data in told.items()
    }


def without_numbers(tensors: Tensors, config: Any) -> Tensors:
    """What the activation of each layer is made of goes to the file's keys."""
    layers = range(config.num_hidden_layers)
    config.xielu = {
        name: [tensors[f"model.layers.{layer}.mlp.act_fn.{name}"].item() for layer in layers]
        for name in ("alpha_p", "alpha_n", "beta", "eps")
    }
    return {name: data for name, data in tensors.items() if ".act_fn." not in name}


def numbers(config: Any) -> dict[str, Any]:
    return {f".xielu.{name}": values for name, values in config.xielu.items()}


FAMILIES = {
    "cohere": Family(
        "CohereConfig",
        gguf=Gguf(
            "command-r",
            keys=cohere_keys,
            plain=("q_norm", "k_norm"),
            sizes={"use_qk_norm": True, "logit_scale": 0.5},
        ),
        variants={
            "grouped": {},
            "normed-heads": {"use_qk_norm": True, "num_key_value_heads": 4, "logit_scale": 0.8},
            "untied": {"tie_word_embeddings": False, "attention_bias": True},
            "theta": rope("default", rope_theta=8e6),
        },
    ),
    "cohere2": Family(
        "Cohere2Config",
        gguf=Gguf("cohere2", keys=cohere_keys, sizes={**COHERE2, "logit_scale": 0.25}),
        variants={
            "every-fourth": COHERE2,
            "pattern": {"sliding_window": 5, "sliding_window_pattern": 2, "logit_scale": 0.25},
            "listed": {
                "sliding_window": 9,
                "layer_types": ["full_attention", "sliding_attention", "full_attention"],
                "num_key_value_heads": 4,
                "attention_bias": True,
                "tie_word_embeddings": False,
            },
        },
    ),
    "seed-oss": Family(
        "SeedOssConfig",
        gguf=Gguf("seed_oss"),
        variants={
            "grouped": {"head_dim": 16},
            "out-bias": {"head_dim": 20, "attention_out_bias": True, "mlp_bias": True},
            "no-bias": {
                "head_dim": 12,
                "attention_bias": False,
                "num_key_value_heads": 4,
                "tie_word_embeddings": True,
            },
        },
    ),
    "arcee": Family(
        "ArceeConfig",
        gguf=Gguf("arcee", convert=interleaved),
        variants={
            "grouped": {},
            "biases": {"attention_bias": True, "mlp_bias": True, "head_dim": 20},
            "yarn": {**ROPES["yarn"], "tie_word_embeddings": True, "num_key_value_heads": 4},
        },
    ),
    "nemotron": Family(
        "NemotronConfig",
        gguf=Gguf(
            "nemotron",
            convert=one_more,
            keys=lambda config: {
                "attention.layer_norm_epsilon": config.norm_eps,
                **rotated_part(config),
            },
        ),
        variants={
            "grouped": {"hidden_size": 64},
            "biases": {"hidden_size": 64, "attention_bias": True, "mlp_bias": True},
            "head-dim": {
                "head_dim": 20,
                "tie_word_embeddings": True,
                **rope("default", partial_rotary_factor=0.6),
            },
        },
    ),
    "exaone4": Family(
        "Exaone4Config",
        gguf=Gguf(
            "exaone4",
            keys=kinds_of_layers,
            sizes={
                "sliding_window": 9,
                "num_hidden_layers": 4,
                "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
            },
        ),
        variants={
            "every-fourth": {"sliding_window": 7, "num_hidden_layers": 4},
            "no-window": {
                "sliding_window": None,
                "layer_types": ["full_attention"] * 3,
                "tie_word_embeddings": True,
                "head_dim": 20,
            },
            "llama3": {
                **ROPES["llama3"],
                "sliding_window": 5,
                "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
            },
        },
    ),
    "stablelm": Family(
        "StableLmConfig",
        gguf=Gguf(
            "stablelm",
            convert=heads_norms,
            plain=("q_norm", "k_norm"),
            keys=lambda config: {
                "attention.layer_norm_epsilon": config.layer_norm_eps,
                "use_parallel_residual": config.use_parallel_residual,
                **rotated_part(config),
            },
            sizes={"qk_layernorm": True, "use_parallel_residual": True},
        ),
        variants={
            "sequential": {"hidden_size": 64},
            "parallel": {"hidden_size": 64, "use_parallel_residual": True, "qk_layernorm": True},
            "biases": {
                "use_qkv_bias": True,
                "num_key_value_heads": 4,
                "tie_word_embeddings": True,
                **rope("default", partial_rotary_factor=0.5),
            },
        },
    ),
    "ernie": Family(
        "Ernie4_5Config",
        gguf=Gguf("ernie4_5"),
        variants={
            "grouped": {"head_dim": 16},
            "biases": {"head_dim": 20, "use_bias": True, "tie_word_embeddings": False},
            "full-heads": {"head_dim": 12, "num_key_value_heads": 4, **ROPES["linear"]},
        },
    ),
    "ernie-moe": Family(
        "Ernie4_5_MoeConfig",
        gguf=Gguf(
            "ernie4_5-moe",
            convert=ernie_moe,
            keys=lambda config: {
                "expert_count": config.moe_num_experts,
                "expert_used_count": config.moe_k,
                "expert_feed_forward_length": config.moe_intermediate_size,
                "expert_shared_count": config.moe_num_shared_experts,
                "expert_shared_feed_forward_length": config.moe_num_shared_experts
                * config.moe_intermediate_size,
                "interleave_moe_layer_step": config.moe_layer_interval,
                "leading_dense_block_count": config.moe_layer_start_index,
            },
            plain=("moe_statics",),
            sizes={**ERNIE_MOE, "moe_intermediate_size": 256},
        ),
        variants={
            "shared": ERNIE_MOE,
            "alternating": {
                **ERNIE_MOE,
                "moe_num_experts": 5,
                "moe_num_shared_experts": 0,
                "moe_layer_start_index": 0,
                "moe_layer_interval": 2,
                "tie_word_embeddings": False,
            },
            "ends": {
                **ERNIE_MOE,
                "moe_k": 3,
                "moe_num_shared_experts": 1,
                "moe_layer_start_index": 0,
                "moe_layer_end_index": 1,
                "num_key_value_heads": 4,
            },
        },
    ),
    "apertus": Family(
        "ApertusConfig",
        gguf=Gguf(
            "apertus",
            convert=without_numbers,
            keys=numbers,
            plain=("act_fn",),
            sizes=rope("default"),
        ),
        variants={
            "grouped": rope("default"),
            "biases": {"attention_bias": True, "tie_word_embeddings": True},
            "llama3": {**ROPES["llama3"], "num_key_value_heads": 4},
        },
    ),
}
