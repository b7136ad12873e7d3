"""Persimmon, OPT and CodeGen: none of them has GGUF files."""

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
OPT: dict[str, Any] = {
    "vocab_size": 99,
    "hidden_size": 48,
    "ffn_dim": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 96,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
CODEGEN: dict[str, Any] = {
    "vocab_size": 99,
    "n_embd": 48,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 96,
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
    "opt": Family(
        "OPTConfig",
        shared=OPT,
        variants={
            "before": {},
            "behind": {"do_layer_norm_before": False, "word_embed_proj_dim": 20},
            "no-bias": {"enable_bias": False, "activation_function": "gelu"},
            "no-last-norm": {"_remove_final_layer_norm": True, "tie_word_embeddings": False},
        },
    ),
    "codegen": Family(
        "CodeGenConfig",
        shared=CODEGEN,
        variants={
            "part-rotated": {"rotary_dim": 8},
            "all-rotated": {"rotary_dim": 12, "n_inner": 72},
            "eight-heads": {"rotary_dim": 4, "n_head": 8, "tie_word_embeddings": True},
        },
    ),
}
