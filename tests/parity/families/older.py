"""GPT-2, GPT-J, GPT-NeoX, BLOOM, MPT, Falcon and GPTBigCode."""

from __future__ import annotations

from typing import Any

from .convert import by_part, renamed
from .record import Family, Gguf, Tensors

GPT: dict[str, Any] = {
    "vocab_size": 99,
    "n_embd": 48,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 96,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
HIDDEN = {
    "vocab_size": 99,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
MPT = {
    "vocab_size": 99,
    "d_model": 48,
    "n_layers": 3,
    "n_heads": 4,
    "max_seq_len": 96,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def norm_key(config: Any) -> dict[str, Any]:
    return {"attention.layer_norm_epsilon": config.layer_norm_epsilon}


def heads(tensors: Tensors, config: Any) -> Tensors:
    count = config.num_attention_heads
    return by_part(tensors, count, (1, 1, 1), config.hidden_size // count)


def bloom(tensors: Tensors, config: Any) -> Tensors:
    return heads(renamed(tensors, ("transformer.", "")), config)


def falcon(tensors: Tensors, config: Any) -> Tensors:
    new, d_head = config.new_decoder_architecture, config.hidden_size // config.num_attention_heads
    groups = config.num_kv_heads if new else 1
    sizes = (config.num_attention_heads // groups, 1, 1)
    return by_part(tensors, groups, sizes, d_head)


FAMILIES = {
    "gpt2": Family(
        "GPT2Config",
        shared=GPT,
        gguf=Gguf("gpt2", keys=norm_key, turned=("c_attn", "c_proj", "c_fc")),
        variants={
            "tied": {},
            "untied": {"tie_word_embeddings": False, "n_inner": 72},
            "exact-gelu": {"activation_function": "gelu", "n_head": 3},
        },
    ),
    "gptj": Family(
        "GPTJConfig",
        shared=GPT,
        variants={
            "part-rotated": {"rotary_dim": 8},
            "all-rotated": {"rotary_dim": 12, "n_inner": 72},
            "wide-heads": {"rotary_dim": 4, "n_head": 2, "tie_word_embeddings": True},
        },
    ),
    "gptneox": Family(
        "GPTNeoXConfig",
        shared={**HIDDEN, "intermediate_size": 80, "max_position_embeddings": 96},
        gguf=Gguf(
            "gptneox",
            convert=heads,
            keys=lambda config: {
                "attention.layer_norm_epsilon": config.layer_norm_eps,
                "use_parallel_residual": config.use_parallel_residual,
                "rope.dimension_count": int(
                    config.hidden_size
                    // config.num_attention_heads
                    * config.rope_parameters["partial_rotary_factor"]
                ),
            },
        ),
        variants={
            "parallel": {"hidden_size": 64},
            "sequential": {"use_parallel_residual": False, "hidden_size": 64},
            "no-bias": {"attention_bias": False, "rotary_pct": 0.5, "hidden_act": "gelu_new"},
            "all-rotated": {"rotary_pct": 1.0, "tie_word_embeddings": True},
        },
    ),
    "bloom": Family(
        "BloomConfig",
        shared={**GPT, "hidden_size": 48},
        gguf=Gguf(
            "bloom",
            convert=bloom,
            keys=lambda config: {**norm_key(config), "context_length": 64},
        ),
        variants={
            "four-heads": {},
            "six-heads": {"n_head": 6},
            "untied": {"n_head": 3, "tie_word_embeddings": False},
        },
    ),
    "mpt": Family(
        "MptConfig",
        shared=MPT,
        gguf=Gguf(
            "mpt",
            keys=lambda config: {
                "attention.layer_norm_epsilon": config.layer_norm_epsilon,
                "attention.clamp_kqv": config.attn_config.clip_qkv,
                "attention.max_alibi_bias": float(config.attn_config.alibi_bias_max),
                "context_length": config.max_seq_len,
            },
            sizes={"attn_config": {"clip_qkv": 0.4}},
        ),
        variants={
            "plain": {},
            "clipped": {"attn_config": {"clip_qkv": 0.5}},
            "six-heads": {"n_heads": 6},
            "scaled": {"attn_config": {"softmax_scale": 0.5}},
        },
    ),
    "falcon": Family(
        "FalconConfig",
        attention="sdpa",  # the eager one adds linear biases twice
        shared={**HIDDEN, "max_position_embeddings": 96},
        gguf=Gguf(
            "falcon",
            convert=falcon,
            keys=lambda config: {
                **norm_key(config),
                "attention.head_count_kv": config.num_kv_heads
                if config.new_decoder_architecture
                else 1,
            },
            sizes={"new_decoder_architecture": True, "num_kv_heads": 2},
        ),
        variants={
            "multi-query": {},
            "new-decoder": {"new_decoder_architecture": True, "num_kv_heads": 2},
            "one-norm": {
                "new_decoder_architecture": True,
                "num_kv_heads": 2,
                "num_ln_in_parallel_attn": 1,
                "ffn_hidden_size": 80,
            },
            "linear-biases": {
                "alibi": True,
                "multi_query": False,
                "parallel_attn": False,
                "bias": True,
            },
            "sequential": {"multi_query": False, "parallel_attn": False},
        },
    ),
    "gpt-bigcode": Family(
        "GPTBigCodeConfig",
        shared=GPT,
        gguf=Gguf(
            "starcoder",
            keys=lambda config: {**norm_key(config), "attention.head_count_kv": 1},
        ),
        variants={
            "multi-query": {},
            "all-heads": {"multi_query": False, "n_inner": 72},
            "untied": {"tie_word_embeddings": False, "n_head": 3},
        },
    ),
}
