"""Nemotron-H and Nemotron 3: one mixer in each layer, and experts without a gate."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .record import SHARED, Family, Gguf, Tensors

HYBRID: dict[str, Any] = {
    **{key: value for key, value in SHARED.items() if key != "rms_norm_eps"},
    "layer_norm_epsilon": 1e-5,
    "num_hidden_layers": 4,
    "head_dim": 12,
    "mamba_num_heads": 6,
    "mamba_head_dim": 10,
    "ssm_state_size": 10,
    "n_groups": 1,
    "chunk_size": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 20,
    "moe_shared_expert_intermediate_size": 28,
    # transformers has it as the least time step of prompts, and not of single tokens
    "time_step_min": 1e-30,
}
GGUF_SIZES = {
    "num_key_value_heads": 4,
    "head_dim": 32,
    "layer_norm_epsilon": 1e-5,
    "num_hidden_layers": 4,
    "mamba_num_heads": 8,
    "mamba_head_dim": 64,
    "ssm_state_size": 24,
    "n_groups": 2,
    "time_step_min": 1e-30,
}
EXPERT = re.compile(r"(.*\.mixer)\.experts\.(\d+)\.(up|down)_proj\.weight")


def converted(tensors: Tensors, config: Any) -> Tensors:
    """A itself, vectors with a dimension more, norms by group, experts in one, the file's names."""
    out: Tensors = {}
    experts: dict[str, list[Any]] = {}
    for theirs, data in tensors.items():
        name = theirs.replace("model.", "backbone.", 1)
        layer = name.replace("backbone.layers", "blk").split(".mixer")[0]
        if name.endswith(".A_log"):
            out[f"{layer}.ssm_a"] = -np.exp(data)[:, None]
        elif name.endswith("mixer.D"):
            out[f"{layer}.ssm_d"] = data[:, None]
        elif name.endswith("mixer.norm.weight"):
            out[name] = data.reshape(config.n_groups, -1)
        elif name.endswith(".dt_bias"):
            out[f"{layer}.ssm_dt.bias"] = data
        elif name.endswith("correction_bias"):
            out[f"{layer}.exp_probs_b.bias"] = data
        elif "conv1d.weight" in name:
            out[name] = np.ascontiguousarray(data[:, 0])
        elif found := EXPERT.fullmatch(name):
            experts.setdefault(f"{layer}.ffn_{found[3]}_exps.weight", []).append((found[2], data))
        elif ".mixer.experts." in name:
            part = "up" if "up_proj" in name else "down"
            out[f"{layer}.ffn_{part}_exps.weight"] = data
        else:
            out[name] = data
    for name, each in experts.items():
        out[name] = np.stack([data for _, data in sorted(each, key=lambda pair: int(pair[0]))])
    return out


def keys(config: Any) -> dict[str, Any]:
    kinds = config.layers_block_type
    moe = "moe" in kinds
    wide = config.moe_intermediate_size if moe else config.intermediate_size
    more = {
        "expert_count": config.n_routed_experts,
        "expert_used_count": config.num_experts_per_tok,
        "expert_feed_forward_length": config.moe_intermediate_size,
        "expert_shared_feed_forward_length": config.moe_shared_expert_intermediate_size,
        "expert_shared_count": config.n_shared_experts,
        "expert_weights_norm": config.norm_topk_prob,
        "expert_weights_scale": float(config.routed_scaling_factor),
        "expert_group_count": config.n_group,
    }  # fmt: skip
    return {
        "attention.layer_norm_rms_epsilon": config.layer_norm_epsilon,
        "attention.layer_norm_epsilon": config.layer_norm_epsilon,
        "attention.head_count_kv": [
            config.num_key_value_heads if kind == "full_attention" else 0 for kind in kinds
        ],
        "feed_forward_length": [wide if kind in ("mlp", "moe") else 0 for kind in kinds],
        "ssm.conv_kernel": config.conv_kernel,
        "ssm.state_size": config.ssm_state_size,
        "ssm.group_count": config.n_groups,
        "ssm.inner_size": config.mamba_num_heads * config.mamba_head_dim,
        "ssm.time_step_rank": config.mamba_num_heads,
        **(more if moe else {}),
        **({"expert_group_used_count": config.topk_group} if moe and config.n_group > 1 else {}),
    }


FAMILIES = {
    "nemotron-h": Family(
        "NemotronHConfig",
        gguf=Gguf(
            "nemotron_h",
            convert=converted,
            keys=keys,
            plain=("conv1d",),
            sizes={**GGUF_SIZES, "hybrid_override_pattern": "M-*M"},
        ),
        shared=HYBRID,
        variants={
            "dense": {"hybrid_override_pattern": "M-*-"},
            "biases": {
                "hybrid_override_pattern": "*-MM",
                "use_bias": True,
                "mlp_bias": True,
                "use_conv_bias": False,
                "n_groups": 2,
            },
            "many-groups": {"hybrid_override_pattern": "MM*-", "n_groups": 6, "conv_kernel": 3},
        },
    ),
    "nemotron-h-moe": Family(
        "NemotronHConfig",
        gguf=Gguf(
            "nemotron_h_moe",
            convert=converted,
            keys=keys,
            plain=("conv1d", "mixer.gate."),
            sizes={
                **GGUF_SIZES,
                "hybrid_override_pattern": "ME*E",
                "n_routed_experts": 4,
                "num_experts_per_tok": 2,
                "moe_intermediate_size": 256,
                "moe_shared_expert_intermediate_size": 512,
                "routed_scaling_factor": 2.5,
            },
        ),
        shared=HYBRID,
        variants={
            "experts": {"hybrid_override_pattern": "ME*E", "routed_scaling_factor": 2.5},
            "groups": {
                "hybrid_override_pattern": "ME*-",
                "n_group": 2,
                "topk_group": 1,
                "norm_topk_prob": False,
                "n_groups": 3,
            },
            "latent": {"hybrid_override_pattern": "EM*E", "moe_latent_size": 14, "mlp_bias": True},
        },
    ),
}
