"""Llama 4."""

from __future__ import annotations

from typing import Any

import numpy as np

from .record import ROPES, Family, Gguf, Tensors, rope


def files_of_today(tensors: Tensors, config: Any) -> Tensors:
    """Gate and up apart, each expert's matrices the usual way round."""
    out = {}
    for name, data in tensors.items():
        if name.endswith("experts.gate_up_proj"):
            for part, half in zip(("gate", "up"), np.split(data, 2, 1), strict=True):
                out[name.replace("gate_up", part) + ".weight"] = np.ascontiguousarray(half)
        elif name.endswith("experts.down_proj"):
            out[f"{name}.weight"] = data
        else:
            out[name] = data
    return out


def keys(config: Any) -> dict[str, Any]:
    return {
        "feed_forward_length": config.intermediate_size_mlp,
        "expert_feed_forward_length": config.intermediate_size,
        "expert_count": config.num_local_experts,
        "expert_used_count": config.num_experts_per_tok,
        "interleave_moe_layer_step": config.interleave_moe_layer_step,
        "rope.dimension_count": config.head_dim,
    }


SMALL = {"head_dim": 12, "num_hidden_layers": 4, "intermediate_size": 40,
         "intermediate_size_mlp": 72, "num_local_experts": 6, "attention_chunk_size": 7,
         "floor_scale": 5, "tie_word_embeddings": False}  # fmt: skip
FAMILIES = {
    "llama4": Family(
        "Llama4TextConfig",
        gguf=Gguf(
            "llama4",
            convert=files_of_today,
            keys=keys,
            turned=("experts.gate_up_proj", "experts.down_proj"),
            sizes={
                "num_hidden_layers": 4,
                "intermediate_size": 256,
                "intermediate_size_mlp": 512,
                "num_local_experts": 4,
                "interleave_moe_layer_step": 2,
                "tie_word_embeddings": False,
                "attention_chunk_size": 8192,  # files do not say these two
                "floor_scale": 8192,
                **rope("default"),
            },
        ),
        variants={
            "experts": {**SMALL, **ROPES["llama3"]},
            "some-dense": {**SMALL, "interleave_moe_layer_step": 2, "use_qk_norm": False,
                           "attention_chunk_size": 16, "attn_temperature_tuning": False},
            "listed": {**SMALL, "moe_layers": [2], "no_rope_layers": [0, 1, 1, 0],
                       "attention_chunk_size": 3, "attn_scale": 0.7, "attention_bias": True},
            "all-chunked": {**SMALL, "layer_types": ["chunked_attention"] * 4,
                            "attention_chunk_size": 17, "num_local_experts": 3},
        },
    ),
}  # fmt: skip
