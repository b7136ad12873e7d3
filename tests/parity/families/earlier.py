"""Persimmon, OPT, CodeGen and XGLM: none of them has GGUF files."""

from __future__ import annotations

from typing import Any

from .record import Family, rope

PERSIMMON: dict[str, Any] = {
    "vocab_size": 99,
    "hidden_size": 64,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 96,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}

FAMILIES = {
    "persimmon": Family(
        "PersimmonConfig",
        shared=PERSIMMON,
        variants={
            "normed-heads": {},
            "plain-heads": {"qk_layernorm": False, "tie_word_embeddings": True},
            "all-rotated": {"hidden_size": 48, **rope("default", partial_rotary_factor=1.0)},
        },
    ),
}
