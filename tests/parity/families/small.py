"""MiniCPM, InternLM and Baichuan."""

from __future__ import annotations

import math
from typing import Any

import torch

from .convert import interleaved, renamed
from .record import ROPES, SHARED, Family, Gguf, Remote, Tensors

SCALES = {"scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 16}


def as_granite(settings: dict[str, Any]) -> dict[str, Any]:
    """MiniCPM's scales in Granite's words."""
    hidden, heads = settings["hidden_size"], settings["num_attention_heads"]
    d_head = settings.get("head_dim") or hidden // heads
    return {
        **settings,
        "embedding_multiplier": float(settings["scale_emb"]),
        "residual_multiplier": settings["scale_depth"] / math.sqrt(settings["num_hidden_layers"]),
        "logits_scaling": hidden / settings["dim_model_base"],
        "attention_multiplier": 1 / math.sqrt(d_head),
    }


def without(*words: str) -> Any:
    """A configuration without the words of a class that is not the family's."""
    return lambda told: {key: value for key, value in told.items() if key not in words}


MULTIPLIERS = ("embedding_multiplier", "residual_multiplier", "logits_scaling",
               "attention_multiplier")  # fmt: skip


def scales(config: Any) -> dict[str, Any]:
    return {
        "embedding_scale": config.embedding_multiplier,
        "residual_scale": config.residual_multiplier,
        "logit_scale": config.logits_scaling,
    }


def as_granite_moe(settings: dict[str, Any]) -> dict[str, Any]:
    return as_granite(settings) | {"num_local_experts": settings["num_experts"]}


def single_experts(tensors: Tensors, told: dict[str, Any]) -> Tensors:
    """A matrix of each expert, by MiniCPM's names."""
    out: Tensors = {}
    for name, data in tensors.items():
        stem, found, part = name.partition(".block_sparse_moe.")
        if not found:
            out[name] = data
        elif part == "router.layer.weight":
            out[f"{stem}.mlp.gate.weight"] = data
        else:
            for index, expert in enumerate(data):
                parts = {"w1": expert.chunk(2)[0], "w3": expert.chunk(2)[1]}
                parts = parts if part == "input_linear.weight" else {"w2": expert}
                out |= {
                    f"{stem}.mlp.experts.{index}.{key}.weight": each.contiguous()
                    for key, each in parts.items()
                }
    return out


def minicpm3_keys(config: Any) -> dict[str, Any]:
    return {
        "attention.q_lora_rank": config.q_lora_rank,
        "attention.kv_lora_rank": config.kv_lora_rank,
        "attention.key_length": config.qk_nope_head_dim + config.qk_rope_head_dim,
        "attention.value_length": None,  # follows from the heads
        "rope.dimension_count": config.qk_rope_head_dim,
    }


LATENT = {"q_lora_rank": 24, "kv_lora_rank": 20, "qk_nope_head_dim": 10, "qk_rope_head_dim": 6,
          "num_key_value_heads": 4}  # fmt: skip
LONG = {
    "rope_parameters": {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0, 1.2, 1.4],
        "long_factor": [2.0, 3.0, 4.0],
        "original_max_position_embeddings": 24,
    }
}


def fused(tensors: Tensors, told: dict[str, Any]) -> Tensors:
    """InternLM 2's names; q, k and v of each group of heads one behind the other."""
    words = {"self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1",
             "mlp.down_proj": "feed_forward.w2", "mlp.up_proj": "feed_forward.w3",
             "model.embed_tokens": "model.tok_embeddings", "lm_head": "output",
             "input_layernorm": "attention_norm",
             "post_attention_layernorm": "ffn_norm"}  # fmt: skip
    out = renamed(tensors, *words.items())
    groups = told["num_key_value_heads"]
    for name in [name for name in out if ".q_proj." in name]:
        parts = [out.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        rows = torch.cat([part.unflatten(0, (groups, -1)) for part in parts], 1)
        out[name.replace("self_attn.q_proj", "attention.wqkv")] = rows.flatten(0, 1)
    return out


def packed(tensors: Tensors, told: dict[str, Any]) -> Tensors:
    out = dict(tensors)
    for name in [name for name in out if ".q_proj." in name]:
        parts = [out.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        out[name.replace("q_proj", "W_pack")] = torch.cat(parts)
    return out


def as_baichuan(told: dict[str, Any]) -> dict[str, Any]:
    """What the makers' files have: the 13B's call the context otherwise, the second ones have a
    word that does not count."""
    out = {**told}
    for word in ("heads", "kv_heads", "wide", "num_key_value_heads", "head_dim"):
        out.pop(word, None)
    if out.pop("linear_biases"):
        out["model_max_length"] = out.pop("max_position_embeddings")
    return out | ({"z_loss_weight": 0} if out.pop("unit_head") else {})


def as_llama(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"attention_bias": settings["bias"]}


def as_llama_3(settings: dict[str, Any]) -> dict[str, Any]:
    return as_llama(settings) | {"qkv_bias": settings["bias"], "mlp_bias": settings["bias"]}


def all_heads(settings: dict[str, Any]) -> dict[str, Any]:
    """Every head has keys and values of its own."""
    own = {key: value for key, value in settings.items() if key != "head_dim"}
    return own | {"num_key_value_heads": settings["num_attention_heads"]}


FAMILIES = {
    "minicpm": Family(
        "GraniteConfig",
        shared=SHARED,
        remote=Remote("MiniCPMForCausalLM", as_granite, without(*MULTIPLIERS)),
        gguf=Gguf("minicpm", convert=interleaved, keys=scales, sizes=SCALES),
        variants={
            "scaled": {**SCALES, "num_key_value_heads": 4},
            "grouped": {"scale_emb": 1, "scale_depth": 1.0, "dim_model_base": 48,
                        "tie_word_embeddings": True},
            "biases": {**SCALES, "attention_bias": True, **ROPES["dynamic"]},
            "longrope": {**SCALES, **ROPES["longrope"]},
        },
    ),
    "minicpm-moe": Family(
        "GraniteMoeConfig",
        remote=Remote("MiniCPMForCausalLM", as_granite_moe,
                      without(*MULTIPLIERS, "num_local_experts"), single_experts),
        variants={
            "two-of-eight": {**SCALES, "num_experts": 8, "num_experts_per_tok": 2},
            "one-of-five": {**SCALES, "num_experts": 5, "num_experts_per_tok": 1,
                            "tie_word_embeddings": True},
            "three-of-four": {**SCALES, "num_experts": 4, "num_experts_per_tok": 3,
                              "num_key_value_heads": 4},
        },
    ),
    "minicpm3": Family(
        "MiniCPM3Config",
        gguf=Gguf("minicpm3", keys=minicpm3_keys,
                  sizes={**LATENT, "scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 256,
                         "kv_lora_rank": 256, "q_lora_rank": 256,
                         "qk_nope_head_dim": 32, "qk_rope_head_dim": 16,
                         "num_key_value_heads": 8, "head_dim": None}),
        variants={
            "scaled": {**SCALES, **LATENT},
            "tied": {**LATENT, "tie_word_embeddings": True, "v_head_dim": 14},
            "longrope": {**SCALES, **LATENT, **LONG, "tie_word_embeddings": False},
            "no-scales": {**LATENT, "q_lora_rank": None, "scale_depth": None,
                          "dim_model_base": None, "attention_bias": True, "mlp_bias": True},
        },
    ),
    "internlm": Family(
        "LlamaConfig",
        remote=Remote("InternLMForCausalLM", lambda each: all_heads(as_llama(each)),
                      without("attention_bias", "mlp_bias")),
        variants={
            "biases": {"bias": True},
            "no-bias": {"bias": False, "tie_word_embeddings": True},
            "dynamic": {"bias": True, **ROPES["dynamic"], "num_attention_heads": 3},
        },
    ),
    "internlm2": Family(
        "LlamaConfig",
        remote=Remote("InternLM2ForCausalLM", as_llama, without("attention_bias", "mlp_bias"),
                      fused),
        gguf=Gguf("internlm2", convert=interleaved, sizes={"bias": False}),
        variants={
            "grouped": {"bias": False},
            "biases": {"bias": True, "num_key_value_heads": 4},
            "dynamic": {"bias": False, **ROPES["dynamic"], "num_key_value_heads": 1},
            "tied": {"bias": False, "tie_word_embeddings": True, **ROPES["linear"]},
        },
    ),
    "internlm3": Family(
        "LlamaConfig",
        remote=Remote("InternLM3ForCausalLM", as_llama_3, without("attention_bias", "mlp_bias")),
        variants={
            "grouped": {"bias": False, "head_dim": 16},
            "biases": {"bias": True, "head_dim": 12},
            "dynamic": {"bias": False, **ROPES["dynamic"], "tie_word_embeddings": True},
        },
    ),
    "baichuan": Family(
        "PlainConfig",
        remote=Remote("BaichuanForCausalLM", all_heads, config=as_baichuan, tensors=packed),
        gguf=Gguf("baichuan", convert=interleaved),
        variants={
            "rotated": {},
            "unit-head": {"unit_head": True, "num_attention_heads": 3},
            "linear-biases": {"linear_biases": True},
            "both": {"linear_biases": True, "unit_head": True, "num_attention_heads": 6},
        },
    ),
}  # fmt: skip
