"""Gemma 1, 2 and 3."""

from __future__ import annotations

from typing import Any

from .record import Family, Gguf, Tensors


def one_more(tensors: Tensors, config: Any) -> Tensors:
    return {
        name: data + 1 if name.endswith("norm.weight") else data for name, data in tensors.items()
    }


def gemma2_keys(config: Any) -> dict[str, Any]:
    return {
        "attn_logit_softcapping": config.attn_logit_softcapping,
        "final_logit_softcapping": config.final_logit_softcapping,
        "attention.sliding_window": config.sliding_window,
    }


GEMMA2 = {"head_dim": 12, "query_pre_attn_scalar": 15, "sliding_window": 7}
FAMILIES = {
    "gemma": Family(
        "GemmaConfig",
        gguf=Gguf("gemma", convert=one_more),
        variants={
            "grouped": {"head_dim": 12},
            "multi-query": {"head_dim": 20, "num_key_value_heads": 1},
            "full-heads": {"head_dim": 16, "num_key_value_heads": 4},
            "untied": {"head_dim": 12, "tie_word_embeddings": False},
        },
    ),
    "gemma2": Family(
        "Gemma2Config",
        gguf=Gguf(
            "gemma2",
            convert=one_more,
            keys=gemma2_keys,
            sizes={"query_pre_attn_scalar": 32, "sliding_window": 9},
        ),
        variants={
            "alternating": GEMMA2,
            "tight-caps": {**GEMMA2, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
            "no-caps": {
                **GEMMA2,
                "head_dim": 20,
                "attn_logit_softcapping": None,
                "final_logit_softcapping": None,
            },
            "layer-types": {
                **GEMMA2,
                "layer_types": ["full_attention", "sliding_attention", "full_attention"],
            },
        },
    ),
    "gemma3": Family(
        "Gemma3TextConfig",
        gguf=Gguf(
            "gemma3",
            convert=one_more,
            keys=lambda config: {
                "attention.sliding_window": config.sliding_window,
                "rope.freq_base": config.rope_parameters["full_attention"]["rope_theta"],
            },
            sizes={
                "query_pre_attn_scalar": 32,
                "sliding_window": 9,
                "num_hidden_layers": 6,
            },
        ),
        variants={
            "six-layers": {**GEMMA2, "num_hidden_layers": 7},
            "pattern": {**GEMMA2, "sliding_window_pattern": 2, "head_dim": 20},
            "scaled-global": {
                **GEMMA2,
                "rope_parameters": {
                    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
                },
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            },
        },
    ),
}
