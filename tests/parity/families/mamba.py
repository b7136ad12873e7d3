"""Mamba, Mamba-2 and Falcon Mamba, which are that and nothing else, and Jamba."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import stacked
from .record import SHARED, Family, Gguf, Tensors

ALONE: dict[str, Any] = {
    "vocab_size": 99,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "state_size": 6,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "biases": {
        "use_bias": True,
        "use_conv_bias": False,
        "conv_kernel": 3,
        "time_step_rank": 5,
        "tie_word_embeddings": False,
    },
    "wide": {"expand": 3, "state_size": 9, "layer_norm_epsilon": 1e-3},
}
HEADS: dict[str, Any] = {"num_heads": 6, "head_dim": 16, "n_groups": 1}
LAYERS = {
    "attn_layer_period": 3,
    "attn_layer_offset": 1,
    "expert_layer_period": 2,
    "expert_layer_offset": 0,
    "num_experts": 5,
    "num_experts_per_tok": 2,
    "mamba_d_state": 6,
}


def converted(tensors: Tensors, config: Any) -> Tensors:
    """A itself, convolutions in two dimensions."""
    out = {}
    for name, data in tensors.items():
        if name.endswith(".A_log"):
            data = -np.exp(data)
        if "conv1d.weight" in name:
            data = np.ascontiguousarray(data[:, 0])
        out[name] = data
    return out


def with_heads(tensors: Tensors, config: Any) -> Tensors:
    """Mamba-2's: vectors with a dimension more, norms by group."""
    out: Tensors = {}
    for name, data in converted(tensors, config).items():
        if name.endswith((".A_log", "mixer.D")):
            data = data[:, None]
        elif name.endswith("mixer.norm.weight"):
            data = data.reshape(config.n_groups, -1)
        out[name.replace(".dt_bias", ".dt_proj.bias")] = data
    return out


def with_experts(tensors: Tensors, config: Any) -> Tensors:
    return converted(stacked(tensors, config), config)


def keys_of_all(config: Any) -> dict[str, Any]:
    """There are no heads, and no feed-forward half."""
    return {
        "feed_forward_length": 0,
        "attention.head_count": 0,
        "attention.head_count_kv": None,
        "attention.key_length": None,
        "attention.value_length": None,
        "context_length": 2**20,
        "attention.layer_norm_rms_epsilon": config.layer_norm_epsilon,
        "ssm.conv_kernel": config.conv_kernel,
        "ssm.state_size": config.state_size,
    }


def keys(config: Any) -> dict[str, Any]:
    return {
        **keys_of_all(config),
        "ssm.inner_size": config.intermediate_size,
        "ssm.time_step_rank": config.time_step_rank,
        "ssm.dt_b_c_rms": config.model_type == "falcon_mamba",
    }


def heads_keys(config: Any) -> dict[str, Any]:
    return {
        **keys_of_all(config),
        "ssm.inner_size": config.expand * config.hidden_size,
        "ssm.time_step_rank": config.num_heads,
        "ssm.group_count": config.n_groups,
    }


def jamba_keys(config: Any) -> dict[str, Any]:
    kv_heads = config.num_key_value_heads
    return {
        "attention.head_count_kv": [
            kv_heads if kind == "attention" else 0 for kind in config.layers_block_type
        ],
        "ssm.conv_kernel": config.mamba_d_conv,
        "ssm.inner_size": config.mamba_expand * config.hidden_size,
        "ssm.state_size": config.mamba_d_state,
        "ssm.time_step_rank": config.mamba_dt_rank,
        "expert_count": config.num_experts,
        "expert_used_count": config.num_experts_per_tok,
    }


WRITTEN = Gguf(
    "mamba",
    convert=converted,
    keys=keys,
    plain=("conv1d", "A_log"),
    sizes={"time_step_rank": 256, "state_size": 16},
)
FAMILIES = {
    "mamba": Family("MambaConfig", gguf=WRITTEN, shared=ALONE, variants=VARIANTS),
    "mamba2": Family(
        "Mamba2Config",
        gguf=Gguf(
            "mamba2",
            convert=with_heads,
            keys=heads_keys,
            plain=("conv1d",),
            sizes={"num_heads": 8, "head_dim": 64, "n_groups": 2, "state_size": 24},
        ),
        shared={**ALONE, **HEADS},
        variants={
            "plain": {},
            "biases": {
                "use_bias": True,
                "use_conv_bias": False,
                "conv_kernel": 3,
                "n_groups": 3,
                "tie_word_embeddings": True,
            },
            "wide": {"expand": 3, "num_heads": 9, "n_groups": 9, "layer_norm_epsilon": 1e-3},
        },
    ),
    "falcon-mamba": Family(
        "FalconMambaConfig",
        gguf=Gguf(
            "mamba",
            convert=converted,
            keys=keys,
            plain=("conv1d", "A_log"),
            # files have one epsilon for all norms
            sizes={**WRITTEN.sizes, "layer_norm_epsilon": 1e-5, "mixer_rms_eps": 1e-5},
        ),
        shared=ALONE,
        variants={**VARIANTS, "wide": {**VARIANTS["wide"], "mixer_rms_eps": 1e-2}},
    ),
    "jamba": Family(
        "JambaConfig",
        gguf=Gguf(
            "jamba",
            convert=with_experts,
            keys=jamba_keys,
            plain=("conv1d", "A_log", "dt_proj"),
            sizes={**LAYERS, "attn_layer_period": 2, "mamba_d_state": 16},
        ),
        shared=SHARED | LAYERS,
        variants={
            "experts": {},
            "dense": {
                "attn_layer_period": 2,
                "num_experts": 1,
                "num_experts_per_tok": 1,
                "mamba_proj_bias": True,
                "mamba_conv_bias": False,
                "mamba_d_conv": 3,
                "mamba_dt_rank": 5,
            },
            "attention-last": {
                "attn_layer_period": 8,
                "attn_layer_offset": 2,
                "expert_layer_period": 3,
                "expert_layer_offset": 2,
                "mamba_expand": 3,
                "tie_word_embeddings": True,
            },
        },
    ),
}
