"""OLMo 1, 2 and 3, and OLMoE."""

from __future__ import annotations

from typing import Any

from .convert import interleaved, stacked
from .record import ROPES, Family, Gguf, rope

YARN_OF_FULL = {
    "full_attention": ROPES["yarn"]["rope_parameters"],
    "sliding_attention": {"rope_type": "default", "rope_theta": 3000.0},
}


def windows(config: Any) -> dict[str, Any]:
    return {
        "attention.sliding_window": config.sliding_window,
        "attention.sliding_window_pattern": [
            kind == "sliding_attention" for kind in config.layer_types
        ],
        "rope.freq_base": config.rope_parameters["full_attention"]["rope_theta"],
    }


FAMILIES = {
    "olmo": Family(
        "OlmoConfig",
        gguf=Gguf(
            "olmo",
            convert=interleaved,
            keys=lambda config: {
                "attention.layer_norm_epsilon": 1e-5,
                "attention.clamp_kqv": config.clip_qkv,
            },
            sizes={"clip_qkv": 0.9},
        ),
        variants={
            "grouped": {},
            "clipped": {"clip_qkv": 0.7, "num_key_value_heads": 4},
            "tied": {"tie_word_embeddings": True, "attention_bias": True},
        },
    ),
    "olmo2": Family(
        "Olmo2Config",
        gguf=Gguf("olmo2"),
        variants={
            "grouped": {},
            "full-heads": {"num_key_value_heads": 4, "attention_bias": True},
            "linear": ROPES["linear"],
            "tied": {"tie_word_embeddings": True, **rope("default", rope_theta=500000.0)},
        },
    ),
    "olmo3": Family(
        "Olmo3Config",
        gguf=Gguf("olmo2", keys=windows, sizes={"sliding_window": 9, "num_hidden_layers": 4}),
        variants={
            "every-fourth": {"num_hidden_layers": 4, "sliding_window": 7},
            "listed": {
                "sliding_window": 5,
                "layer_types": ["full_attention", "sliding_attention", "full_attention"],
                "num_key_value_heads": 4,
            },
            "yarn": {
                "sliding_window": 9,
                "num_hidden_layers": 4,
                "rope_parameters": YARN_OF_FULL,
            },
        },
    ),
    "olmoe": Family(
        "OlmoeConfig",
        gguf=Gguf(
            "olmoe",
            convert=stacked,
            keys=lambda config: {
                "expert_count": config.num_experts,
                "expert_used_count": config.num_experts_per_tok,
            },
            sizes={"num_experts": 4, "num_experts_per_tok": 2, "num_key_value_heads": 8},
        ),
        variants={
            "two-of-six": {"num_experts": 6, "num_experts_per_tok": 2, "num_key_value_heads": 4},
            "normalized": {"num_experts": 5, "num_experts_per_tok": 3, "norm_topk_prob": True},
            "clipped": {
                "num_experts": 4,
                "num_experts_per_tok": 1,
                "clip_qkv": 0.8,
                "tie_word_embeddings": True,
                "attention_bias": True,
            },
        },
    ),
}
