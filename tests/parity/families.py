"""The tiny configurations on which every family is held against transformers.

One record per family: its configuration class's name there, what all its configurations share,
and by name what each varies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SHARED: dict[str, Any] = {
    "vocab_size": 99,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def rope(kind: str, **settings: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **settings}}


ROPES = {
    "linear": rope("linear", factor=2.0),
    "dynamic": {**rope("dynamic", factor=2.0), "max_position_embeddings": 16},
    "yarn": rope("yarn", factor=4.0, original_max_position_embeddings=16),
    "yarn-mscale": rope(
        "yarn",
        factor=8.0,
        original_max_position_embeddings=16,
        beta_fast=16.0,
        beta_slow=2.0,
        mscale=0.7,
        mscale_all_dim=0.9,
    ),
    "llama3": rope(
        "llama3",
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=32,
    ),
    "longrope": rope(
        "longrope",
        short_factor=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5],
        long_factor=[1.5, 2.0, 2.5, 3.0, 3.5, 4.0],
        original_max_position_embeddings=24,
        factor=2.0,
    ),
}


@dataclass(frozen=True)
class Family:
    """config: a class of transformers. gguf: llama.cpp's name of the architecture."""

    config: str
    gguf: str
    variants: dict[str, dict[str, Any]]


FAMILIES = {
    "llama": Family(
        "LlamaConfig",
        "llama",
        {
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
        "llama",
        {
            "grouped": {"sliding_window": None},
            "window": {"sliding_window": 7},
            "window-head-dim": {"sliding_window": 16, "head_dim": 20},
            "tied": {"sliding_window": None, "tie_word_embeddings": True},
            "yarn": {"sliding_window": None, **ROPES["yarn"]},
        },
    ),
    "qwen2": Family(
        "Qwen2Config",
        "qwen2",
        {
            "grouped": {},
            "tied": {"tie_word_embeddings": True},
            "window": {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1},
            "yarn": ROPES["yarn"],
            "full-heads": {"num_key_value_heads": 4},
        },
    ),
    "qwen3": Family(
        "Qwen3Config",
        "qwen3",
        {
            "grouped": {"head_dim": 12},
            "head-dim": {"head_dim": 20},
            "tied": {"head_dim": 16, "tie_word_embeddings": True},
            "biases": {"head_dim": 12, "attention_bias": True},
            "window": {
                "head_dim": 12,
                "use_sliding_window": True,
                "sliding_window": 5,
                "max_window_layers": 2,
            },
            "dynamic": {"head_dim": 12, **ROPES["dynamic"]},
        },
    ),
}
CASES = [(family, variant) for family, record in FAMILIES.items() for variant in record.variants]
