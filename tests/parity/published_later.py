"""As `published.py`, of families that came to Tramontane later."""

from __future__ import annotations

from typing import Any

from .published import sizes

PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    # OLMo
    "OLMo-1B-hf": ("olmo", {
        **sizes(2048, 8192, 16, 16, 16, 50304), "attention_bias": False, "clip_qkv": None,
        "hidden_act": "silu", "max_position_embeddings": 2048, "rope_scaling": None,
        "rope_theta": 10000.0, "tie_word_embeddings": True}),
    "OLMo-2-1124-7B": ("olmo2", {
        **sizes(4096, 11008, 32, 32, 32, 100352), "attention_bias": False, "hidden_act": "silu",
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_scaling": None,
        "rope_theta": 500000, "tie_word_embeddings": False}),
    "Olmo-3-7B-Instruct": ("olmo3", {
        **sizes(4096, 11008, 32, 32, 32, 100278), "attention_bias": False, "hidden_act": "silu",
        "layer_types": (["sliding_attention"] * 3 + ["full_attention"]) * 8,
        "max_position_embeddings": 65536, "rms_norm_eps": 1e-6, "rope_theta": 500000,
        "rope_scaling": {
            "attention_factor": 1.2079441541679836, "beta_fast": 32.0, "beta_slow": 1.0,
            "factor": 8.0, "original_max_position_embeddings": 8192, "rope_type": "yarn"},
        "sliding_window": 4096, "tie_word_embeddings": False}),
    "OLMoE-1B-7B-0924": ("olmoe", {
        **sizes(2048, 1024, 16, 16, 16, 50304), "attention_bias": False, "clip_qkv": None,
        "hidden_act": "silu", "max_position_embeddings": 4096, "norm_topk_prob": False,
        "num_experts": 64, "num_experts_per_tok": 8, "rms_norm_eps": 1e-5, "rope_scaling": None,
        "rope_theta": 10000.0, "tie_word_embeddings": False}),
}  # fmt: skip
