"""OpenELM, Jais, XGLM, Orion, XVERSE and the first Qwen."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .convert import interleaved, renamed
from .record import ROPES, SHARED, Family, Gguf, Remote, Tensors, rope
from .small import all_heads

OWN_WORDS = ("heads", "kv_heads", "wide", "linear_biases", "layer_norm", "qk_norm", "bias", "power",
             "theta", "token_scale", "logit_scale", "unit_head", "rms_norm_eps",
             "num_key_value_heads", "hidden_size", "num_hidden_layers", "num_attention_heads",
             "intermediate_size", "max_position_embeddings",
             "tie_word_embeddings")  # fmt: skip
"""Of the decoder in plain torch."""


def growing(settings: dict[str, Any]) -> dict[str, Any]:
    """More heads and wider halves from layer to layer, where a configuration does not list them."""
    layers, kv_heads = settings["num_hidden_layers"], settings["num_key_value_heads"]
    share = settings["num_attention_heads"] // kv_heads
    kv_each = [kv_heads + index for index in range(layers)]
    wide = [settings["intermediate_size"] + 16 * index for index in range(layers)]
    told: dict[str, Any]
    told = {"kv_heads": kv_each, "heads": [share * each for each in kv_each], "wide": wide}
    told |= {key: settings[key] for key in told if len(settings.get(key) or ()) == layers}
    others = {"tie_word_embeddings": True, "qk_norm": True}
    return {**others, **settings, **told, "rms_norm_eps": 1e-6}  # it has no word for this one


def as_openelm(told: dict[str, Any]) -> dict[str, Any]:
    hidden = told["hidden_size"]
    return {key: value for key, value in told.items() if key not in OWN_WORDS} | {
        "model_dim": hidden,
        "num_transformer_layers": told["num_hidden_layers"],
        "num_query_heads": told["heads"],
        "num_kv_heads": told["kv_heads"],
        "ffn_multipliers": [each / hidden for each in told["wide"]],
        "ffn_dim_divisor": 1,
        "max_context_length": told["max_position_embeddings"],
        "rope_freq_constant": int(told["theta"]),
        "share_input_output_layers": told["tie_word_embeddings"],
        "normalize_qk_projections": told["qk_norm"],
        "activation_fn_name": "swish",
    }


def openelm(tensors: Tensors, told: dict[str, Any]) -> Tensors:
    words = {"model.embed_tokens": "transformer.token_embeddings", "model.": "transformer.",
             "self_attn.o_proj": "self_attn.out_proj", "self_attn.": "attn.",
             "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
             "mlp.down_proj": "ffn.proj_2", "mlp.": "ffn."}  # fmt: skip
    out = joined(renamed(tensors, *words.items()), ("q_proj", "k_proj", "v_proj"), "qkv_proj")
    return joined(out, ("gate_proj", "up_proj"), "proj_1")


def joined(tensors: Tensors, parts: tuple[str, ...], whole: str) -> Tensors:
    """Matrices, and their biases, one below the other; torch's or numpy's."""
    out = dict(tensors)
    for name in [name for name in out if f".{parts[0]}." in name]:
        found = [out.pop(name.replace(parts[0], part)) for part in parts]
        numbers = torch.is_tensor(found[0])
        both = torch.cat(found) if numbers else np.concatenate(found)
        out[name.replace(parts[0], whole)] = both
    return out


def openelm_keys(config: Any) -> dict[str, Any]:
    return {
        "attention.head_count": config.heads,
        "attention.head_count_kv": config.kv_heads,
        "feed_forward_length": config.wide,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "rope.dimension_count": config.head_dim,
        "rope.freq_base": config.theta,
    }


def scaled(settings: dict[str, Any]) -> dict[str, Any]:
    """Jais: GPT-2's norms and biases."""
    told = {"linear_biases": True, "layer_norm": True, "bias": True, "rms_norm_eps": 1e-5}
    return {"tie_word_embeddings": True, "power": -1.0, **told, **all_heads(settings)}


def as_jais(told: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key not in (*OWN_WORDS, "head_dim")} | {
        "n_embd": told["hidden_size"],
        "n_layer": told["num_hidden_layers"],
        "n_head": told["num_attention_heads"],
        "n_inner": told["intermediate_size"],
        "n_positions": told["max_position_embeddings"],
        "layer_norm_epsilon": told["rms_norm_eps"],
        "activation_function": "swiglu",
        "position_embedding_type": "alibi",
        "scale_qk_dot_by_d": told["power"] == -1.0,
        "mup_embeddings_scale": told["token_scale"],
        "mup_output_alpha": 2.0,
        "mup_width_scale": told["logit_scale"] / 2,
        "tie_word_embeddings": told["tie_word_embeddings"],
    }


def jais(tensors: Tensors, told: dict[str, Any]) -> Tensors:
    words = {"model.embed_tokens": "transformer.wte", "model.norm": "transformer.ln_f",
             "model.layers": "transformer.h", "input_layernorm": "ln_1",
             "post_attention_layernorm": "ln_2", "self_attn.o_proj": "attn.c_proj",
             "self_attn.": "attn.", "up_proj": "c_fc", "gate_proj": "c_fc2",
             "down_proj": "c_proj"}  # fmt: skip
    out = joined(renamed(tensors, *words.items()), ("q_proj", "k_proj", "v_proj"), "c_attn")
    return {
        name: data.T.contiguous() if ".c_" in name and data.dim() > 1 else data
        for name, data in out.items()
    }


def jais_keys(config: Any) -> dict[str, Any]:
    return {"attention.layer_norm_epsilon": config.rms_norm_eps, "attention.max_alibi_bias": 8.0}


def as_orion(told: dict[str, Any]) -> dict[str, Any]:
    words = ("use_qkv_bias", "qk_layernorm", "use_parallel_residual", "partial_rotary_factor",
             "layer_norm_eps")  # fmt: skip
    out = {key: value for key, value in told.items() if key not in words}
    out["rope_theta"] = out["rope_parameters"]["rope_theta"]
    del out["rope_parameters"]
    return out | {"rms_norm_eps": told["layer_norm_eps"]}


def as_stablelm(settings: dict[str, Any]) -> dict[str, Any]:
    """Orion's norms are layer norms; all of a head is rotated."""
    theta = {"rope_type": "default", "rope_theta": settings.get("rope_theta", 10000.0)}
    whole = {"rope_parameters": {**theta, "partial_rotary_factor": 1.0}}
    eps = settings.get("rms_norm_eps", 1e-5)
    return {**settings, **whole, "layer_norm_eps": eps, "head_dim": None}


def as_qwen(told: dict[str, Any]) -> dict[str, Any]:
    words = ("num_key_value_heads", "rms_norm_eps", "rope_parameters", "sliding_window",
             "max_window_layers", "layer_types", "use_sliding_window", "head_dim",
             "max_position_embeddings")  # fmt: skip
    out = {key: value for key, value in told.items() if key not in words}
    return out | {
        "intermediate_size": 2 * told["intermediate_size"],
        "kv_channels": told["hidden_size"] // told["num_attention_heads"],
        "layer_norm_epsilon": told["rms_norm_eps"],
        "rotary_emb_base": told["rope_parameters"]["rope_theta"],
        "seq_length": told["max_position_embeddings"],
        "max_position_embeddings": 4 * told["max_position_embeddings"],
        "use_dynamic_ntk": True,
        "use_logn_attn": True,
        "no_bias": True,
    }


def qwen(tensors: Tensors, told: dict[str, Any]) -> Tensors:
    words = {"model.embed_tokens": "transformer.wte", "model.norm": "transformer.ln_f",
             "model.layers": "transformer.h", "input_layernorm": "ln_1",
             "post_attention_layernorm": "ln_2", "self_attn.o_proj": "attn.c_proj",
             "self_attn.": "attn.", "up_proj": "w1", "gate_proj": "w2",
             "down_proj": "c_proj"}  # fmt: skip
    return joined(renamed(tensors, *words.items()), ("q_proj", "k_proj", "v_proj"), "c_attn")


XGLM = {**{key: value for key, value in SHARED.items() 
        if key not in ("num_key_value_heads", "intermediate_size")},
        "ffn_dim": 80, "pad_token_id": 1}  # fmt: skip
FAMILIES = {
    "openelm": Family(
        "PlainConfig",
        remote=Remote("OpenELMForCausalLM", growing, as_openelm, openelm),
        gguf=Gguf(
            "openelm", keys=openelm_keys,
            convert=lambda tensors, config: joined(
                tensors, ("q_proj", "k_proj", "v_proj"), "qkv_proj"
            ),
            sizes={"wide": [256, 512], "heads": [8, 16], "kv_heads": [4, 2]},
        ),
        variants={
            "growing": {},
            "equal": {"heads": [4] * 3, "kv_heads": [4] * 3, "wide": [64] * 3},
            "no-norms": {"qk_norm": False, "tie_word_embeddings": False, "head_dim": 20,
                         "theta": 5e5},
        },
    ),
    "jais": Family(
        "PlainConfig",
        remote=Remote("JAISLMHeadModel", scaled, as_jais, jais),
        gguf=Gguf(
            "jais", keys=jais_keys,
            convert=lambda tensors, config: joined(
                tensors, ("q_proj", "k_proj", "v_proj"), "qkv_proj"
            ),
            sizes={"tie_word_embeddings": False, "token_scale": 1.0, "logit_scale": 1.0},
        ),
        variants={
            "scaled": {"token_scale": 9.1, "logit_scale": 0.6},
            "root": {"power": -0.5, "num_attention_heads": 3},
            "untied": {"tie_word_embeddings": False, "token_scale": 14.6, "logit_scale": 0.2,
                       "num_attention_heads": 6},
        },
    ),
    "jais2": Family(
        "Jais2Config",
        gguf=Gguf("jais2", keys=lambda config: {
            "attention.layer_norm_epsilon": config.layer_norm_eps,
            "rope.dimension_count": config.head_dim,
        }),
        variants={
            "grouped": {},
            "no-bias": {"attention_bias": False, "mlp_bias": False, "num_key_value_heads": 4},
            "linear": {**ROPES["linear"], "tie_word_embeddings": True, "head_dim": 20},
        },
    ),
    "xglm": Family(
        "XGLMConfig",
        shared=XGLM,
        variants={
            "scaled": {},
            "plain": {"scale_embedding": False, "activation_function": "relu",
                      "tie_word_embeddings": False},
            "padding": {"pad_token_id": 7, "num_attention_heads": 3, "hidden_size": 42},
        },
    ),
    "orion": Family(
        "StableLmConfig",
        remote=Remote("OrionForCausalLM", as_stablelm, as_orion),
        gguf=Gguf("orion", keys=lambda config: {
            "attention.layer_norm_epsilon": config.layer_norm_eps,
        }),
        variants={
            "grouped": {},
            "full-heads": {"num_key_value_heads": 4, "rope_theta": 5e5},
            "tied": {"tie_word_embeddings": True, "num_attention_heads": 6, "hidden_size": 60},
        },
    ),
    "xverse": Family(
        "LlamaConfig",
        remote=Remote("XverseForCausalLM", all_heads),
        gguf=Gguf("xverse", convert=interleaved),
        variants={
            "plain": {},
            "three-heads": {"num_attention_heads": 3, **ROPES["linear"]},
            "tied": {"tie_word_embeddings": True, **rope("default", rope_theta=5e5)},
        },
    ),
    "qwen": Family(
        "Qwen2Config",
        remote=Remote("QWenLMHeadModel", all_heads, as_qwen, qwen),
        gguf=Gguf(
            "qwen",
            keys=lambda config: {"feed_forward_length": 2 * config.intermediate_size},
            convert=lambda tensors, config: joined(
                tensors, ("q_proj", "k_proj", "v_proj"), "qkv_proj"
            ),
        ),
        variants={
            "plain": {},
            "three-heads": {"num_attention_heads": 3, **rope("default", rope_theta=5e5)},
            "tied": {"tie_word_embeddings": True, "num_attention_heads": 6},
        },
    ),
}  # fmt: skip
