"""Llama, Mistral and Mixtral."""

from __future__ import annotations

from typing import Any

from .convert import interleaved, stacked
from .record import ROPES, Family, Gguf, Tensors, rope


def with_experts(tensors: Tensors, config: Any) -> Tensors:
    return interleaved(stacked(tensors, config), config)


FAMILIES = {
    "llama": Family(
        "LlamaConfig",
        gguf=Gguf("llama", convert=interleaved),
        variants={
            "grouped": {},
            "full-heads": {"num_key_value_heads": 4},
            "multi-query": {"num_key_value_heads": 1},
            "odd-head-dim": {"head_dim": 20},
            "tied": {"tie_word_embeddings": True},
            "biases": {"attention_bias": True, "mlp_bias": True},
            "theta": rope("default", rope_theta=500000.0),
            **ROPES,
        },
    ),
    "mistral": Family(
        "MistralConfig",
        gguf=Gguf("llama", convert=interleaved),
        variants={
            "grouped": {"sliding_window": None},
            "window": {"sliding_window": 7},
            "window-head-dim": {"sliding_window": 16, "head_dim": 20},
            "tied": {"sliding_window": None, "tie_word_embeddings": True},
            "yarn": {"sliding_window": None, **ROPES["yarn"]},
        },
    ),
    "mixtral": Family(
        "MixtralConfig",
        gguf=Gguf(
            "llama",
            convert=with_experts,
            keys=lambda config: {
                "expert_count": config.num_local_experts,
                "expert_used_count": config.num_experts_per_tok,
            },
            sizes={"num_local_experts": 4},
        ),
        variants={
            "two-of-four": {"num_local_experts": 4, "sliding_window": None},
            "one-of-five": {"num_local_experts": 5, "num_experts_per_tok": 1},
            "window": {"num_local_experts": 3, "sliding_window": 7, "head_dim": 20},
            "three-of-eight": {
                "num_local_experts": 8,
                "num_experts_per_tok": 3,
                "tie_word_embeddings": True,
            },
        },
    ),
}
