"""GPT-OSS."""

from __future__ import annotations

from typing import Any

import numpy as np

from .record import SHARED, Family, Gguf, Tensors, rope

SMALL = {
    "head_dim": 16,
    "intermediate_size": 40,
    "num_local_experts": 5,
    "num_experts_per_tok": 2,
    "sliding_window": 7,
}


def yarn(factor: float = 8.0, **more: Any) -> dict[str, Any]:
    return rope(
        "yarn", factor=factor, beta_fast=32.0, beta_slow=1.0, truncate=False,
        original_max_position_embeddings=16, **more,
    )  # fmt: skip


def converted(tensors: Tensors, config: Any) -> Tensors:
    """Rows of gate and up apart, biases and sinks under names of their own."""
    out = {}
    for name, data in tensors.items():
        layer, found, part = name.partition(".mlp.experts.")
        kind = "bias" if part.endswith("_bias") else "weight"
        if part.startswith("gate_up_proj"):
            for offset, half in enumerate(("gate", "up")):
                rows = np.ascontiguousarray(data[:, offset::2])
                out[f"{layer}.mlp.experts.{half}_proj.{kind}"] = rows
        elif found:
            out[f"{layer}.mlp.experts.down_proj.{kind}"] = data
        else:
            out[f"{name}.weight" if name.endswith("sinks") else name] = data
    return out


def keys(config: Any) -> dict[str, Any]:
    return {
        "attention.sliding_window": config.sliding_window,
        "expert_count": config.num_local_experts,
        "expert_used_count": config.num_experts_per_tok,
        "expert_feed_forward_length": config.intermediate_size,
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": config.rope_parameters["factor"],
        "rope.scaling.original_context_length": (
            config.rope_parameters["original_max_position_embeddings"]
        ),
    }


FAMILIES = {
    "gpt-oss": Family(
        "GptOssConfig",
        shared={**SHARED, **SMALL},
        gguf=Gguf(
            "gpt-oss",
            keys=keys,
            convert=converted,
            plain=("_proj_bias", "sinks"),
            turned=("experts.gate_up_proj", "experts.down_proj"),
            sizes={
                "num_local_experts": 4,
                "num_experts_per_tok": 2,
                "sliding_window": 9,
                **yarn(),
            },
        ),
        variants={
            "window": yarn(),
            "tied": {**yarn(4.0), "tie_word_embeddings": True, "num_experts_per_tok": 5},
            "odd-heads": {
                **yarn(32.0),
                "num_attention_heads": 6,
                "num_key_value_heads": 3,
                "head_dim": 10,
                "hidden_size": 44,
            },
            "many": {
                **yarn(), "num_local_experts": 33, "num_experts_per_tok": 4, "swiglu_limit": 0.5,
            },
            "no-bias": {
                **rope("default"),
                "attention_bias": False,
                "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
                "swiglu_alpha": 1.2,
            },
        },
    )
}  # fmt: skip
