"""Falcon-H1, in which Mamba-2 and attention stand side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from .record import SHARED, Family, Gguf, Tensors

MAMBA = {"mamba_d_ssm": 60, "mamba_n_heads": 6, "mamba_d_state": 10, "mamba_chunk_size": 16}
MULTIPLIERS = {
    "embedding_multiplier": 3.0,
    "lm_head_multiplier": 0.5,
    "key_multiplier": 0.7,
    "attention_in_multiplier": 1.2,
    "attention_out_multiplier": 0.8,
    "ssm_in_multiplier": 0.9,
    "ssm_out_multiplier": 1.3,
    "mlp_multipliers": [0.8, 1.4],
    "ssm_multipliers": [0.7, 1.1, 0.9, 1.2, 1.3],
}


def converted(tensors: Tensors, config: Any) -> Tensors:
    """A itself, vectors with a dimension more, norms by group, names of the file."""
    out = {}
    for name, data in tensors.items():
        layer = name.replace("model.layers", "blk").split(".mamba")[0]
        if name.endswith(".A_log"):
            out[f"{layer}.ssm_a"] = -np.exp(data)[:, None]
        elif name.endswith("mamba.D"):
            out[f"{layer}.ssm_d"] = data[:, None]
        elif name.endswith("mamba.norm.weight"):
            out[name] = data.reshape(config.mamba_n_groups, -1)
        elif name.endswith(".dt_bias"):
            out[f"{layer}.ssm_dt.bias"] = data
        elif "conv1d.weight" in name:
            out[name] = np.ascontiguousarray(data[:, 0])
        else:
            out[name] = data
    return out


def keys(config: Any) -> dict[str, Any]:
    return {
        "ssm.conv_kernel": config.mamba_d_conv,
        "ssm.state_size": config.mamba_d_state,
        "ssm.group_count": config.mamba_n_groups,
        "ssm.inner_size": config.mamba_d_ssm,
        "ssm.time_step_rank": config.mamba_n_heads,
    }


FAMILIES = {
    "falcon-h1": Family(
        "FalconH1Config",
        gguf=Gguf(
            "falcon-h1",
            convert=converted,
            keys=keys,
            plain=("conv1d",),
            sizes={
                **{name: 1.0 for name in MULTIPLIERS},  # which files have in their weights
                "mlp_multipliers": [1.0] * 2,
                "ssm_multipliers": [1.0] * 5,
                "mamba_d_ssm": 512,
                "mamba_n_heads": 8,
                "mamba_d_head": 64,
                "mamba_d_state": 24,
                "mamba_n_groups": 2,
                "mamba_rms_norm": True,
                "mamba_norm_before_gate": False,
            },
        ),
        shared=SHARED | MAMBA,
        variants={
            "multipliers": {**MULTIPLIERS, "mamba_rms_norm": False},
            "norm-first": {"mamba_rms_norm": True, "mamba_n_groups": 2},
            "gate-first": {
                "mamba_rms_norm": True,
                "mamba_norm_before_gate": False,
                "mamba_n_groups": 3,
                "projectors_bias": True,
                "mamba_proj_bias": True,
                "attention_bias": True,
                "mlp_bias": True,
                "mamba_conv_bias": False,
            },
        },
    ),
}
