"""The families of files before GGUF: what their headers hold, and how they name their tensors.

No file says which family it is of. A family's header, vocabulary and tensors fill a file of its own
to the last byte, and its tensors have names of its own.

Source: the readers of rustformers' llm and of ggml's examples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Fields = Mapping[str, Any]
Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of tensors, rows first, by their names in the file."""


@dataclass(frozen=True)
class Family:
    """fields: of the header, in order; those in `floats` are float32, the others int32. again:
    whether the size of the vocabulary is repeated before it. marker: the name of a tensor that
    only this family has. dialect, architecture: whose names and configuration the translated ones
    are. renamed: patterns of the file's names to that dialect's; without one a name stays."""

    name: str
    fields: tuple[str, ...]
    marker: str
    dialect: str
    architecture: str
    config: Callable[[Fields, Shapes], dict[str, Any]]
    renamed: tuple[tuple[str, str], ...] = ()
    floats: tuple[str, ...] = ()
    again: bool = False

    def rename(self, name: str) -> str:
        """A tensor's name in the dialect."""
        for pattern, to in self.renamed:
            found, count = re.subn(pattern, to, name)
            if count:
                return found
        return name


def _sizes(fields: Fields) -> dict[str, Any]:
    """What most headers hold, in the words of configurations."""
    words = {
        "n_vocab": "vocab_size", "n_embd": "hidden_size", "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads", "n_ctx": "max_position_embeddings",
    }  # fmt: skip
    return {word: fields[field] for field, word in words.items() if field in fields}


def _llama(fields: Fields, shapes: Shapes) -> dict[str, Any]:
    heads, width = fields["n_head"], fields["n_embd"] // fields["n_head"]
    # 70B of LLaMA 2 has fewer, which the header does not say
    kv_heads = max(1, shapes["layers.0.attention.wk.weight"][0] // width)
    return _sizes(fields) | {
        "max_position_embeddings": 2048,
        "intermediate_size": shapes["layers.0.feed_forward.w1.weight"][0],
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": 1e-6 if kv_heads == heads else 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": "output.weight" not in shapes,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _gpt2(fields: Fields, shapes: Shapes) -> dict[str, Any]:
    return _sizes(fields) | {
        "layer_norm_eps": 1e-5,
        "tie_word_embeddings": "model/lm_head" not in shapes,
    }


def _gptj(fields: Fields, shapes: Shapes) -> dict[str, Any]:
    return _sizes(fields) | {
        "rotary_dim": fields["n_rot"],
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": False,
    }


def _gptneox(fields: Fields, shapes: Shapes) -> dict[str, Any]:
    return _sizes(fields) | {
        "intermediate_size": shapes["gpt_neox.layers.0.mlp.dense_h_to_4h.weight"][0],
        "rotary_pct": fields["n_rot"] * fields["n_head"] / fields["n_embd"],
        "use_parallel_residual": bool(fields["parallel_residual"]),
        "layer_norm_eps": 1e-5,
        "tie_word_embeddings": "embed_out.weight" not in shapes,
    }


def _bloom(fields: Fields, shapes: Shapes) -> dict[str, Any]:
    return _sizes(fields) | {
        "max_position_embeddings": 2048,
        "layer_norm_eps": 1e-5,
        "tie_word_embeddings": "output.weight" not in shapes,
    }


def _mpt(fields: Fields, shapes: Shapes) -> dict[str, Any]:
    clip = fields["clip_qkv"]
    attention = {"alibi": True, "alibi_bias_max": fields["alibi_bias_max"]}
    return {
        "d_model": fields["n_embd"],
        "n_heads": fields["n_head"],
        "n_layers": fields["n_layer"],
        "max_seq_len": fields["n_ctx"],
        "vocab_size": fields["n_vocab"],
        "attn_config": attention | ({"clip_qkv": clip} if clip > 0 else {}),
    }


def _falcon(fields: Fields, shapes: Shapes) -> dict[str, Any]:
    return _sizes(fields) | {
        "max_position_embeddings": 2048,
        "multi_query": True,
        "parallel_attn": True,
        "new_decoder_architecture": False,
        "alibi": False,
        "bias": False,
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": "lm_head.weight" not in shapes,
    }


_LAYER = r"^layers\.(\d+)\."
_LLAMA = (
    (r"^tok_embeddings\.", "token_embd."),
    (_LAYER + r"attention\.w([qkv])\.", r"blk.\1.attn_\2."),
    (_LAYER + r"attention\.wo\.", r"blk.\1.attn_output."),
    (_LAYER + r"attention\.query_key_value\.", r"blk.\1.attn_qkv."),
    (_LAYER + r"attention_norm\.", r"blk.\1.attn_norm."),
    (_LAYER + r"ffn_norm\.", r"blk.\1.ffn_norm."),
)
_GPT2 = (
    (r"^model/wte$", "token_embd.weight"),
    (r"^model/wpe$", "position_embd.weight"),
    (r"^model/lm_head$", "output.weight"),
    *(
        (rf"^model/{block}{theirs}/{end}$", rf"{stem}{ours}.{ending}")
        for block, stem, names in (
            ("", "", {"ln_f": "output_norm"}),
            (
                r"h(\d+)/", r"blk.\1.",
                {
                    "attn/c_attn": "attn_qkv", "attn/c_proj": "attn_output", "ln_1": "attn_norm",
                    "ln_2": "ffn_norm", "mlp/c_fc": "ffn_up", "mlp/c_proj": "ffn_down",
                },
            ),
        )
        for theirs, ours in names.items()
        for end, ending in (("[wg]", "weight"), ("b", "bias"))
    ),
)  # fmt: skip

FAMILIES = (
    Family(
        "llama",
        ("n_vocab", "n_embd", "n_mult", "n_head", "n_layer", "n_rot", "ftype"),
        "layers.0.attention.wq.weight", "gguf", "llama", _llama,
        (
            *_LLAMA,
            (r"^norm\.", "output_norm."),
            (_LAYER + r"feed_forward\.w1\.", r"blk.\1.ffn_gate."),
            (_LAYER + r"feed_forward\.w2\.", r"blk.\1.ffn_down."),
            (_LAYER + r"feed_forward\.w3\.", r"blk.\1.ffn_up."),
        ),
    ),
    Family(
        "gpt2", ("n_vocab", "n_ctx", "n_embd", "n_head", "n_layer", "ftype"),
        "model/wte", "gguf", "gpt2", _gpt2, _GPT2, again=True,
    ),
    Family(
        "gptj", ("n_vocab", "n_ctx", "n_embd", "n_head", "n_layer", "n_rot", "ftype"),
        "transformer.h.0.attn.q_proj.weight", "hf", "GPTJForCausalLM", _gptj, again=True,
    ),
    Family(
        "gptneox",
        (
            "n_vocab", "n_ctx", "n_embd", "n_head", "n_layer", "n_rot", "parallel_residual",
            "ftype",
        ),
        "gpt_neox.embed_in.weight", "hf", "GPTNeoXForCausalLM", _gptneox,
    ),
    Family(
        "bloom", ("n_vocab", "n_embd", "n_mult", "n_head", "n_layer", "ftype"),
        "layers.0.attention.query_key_value.weight", "gguf", "bloom", _bloom,
        (
            *_LLAMA,
            (r"^norm\.", "token_embd_norm."),
            (_LAYER + r"feed_forward\.w1\.", r"blk.\1.ffn_up."),
            (_LAYER + r"feed_forward\.w2\.", r"blk.\1.ffn_down."),
        ),
    ),
    Family(
        "mpt",
        ("n_embd", "n_ctx", "n_head", "n_layer", "n_vocab", "alibi_bias_max", "clip_qkv", "ftype"),
        "transformer.blocks.0.attn.Wqkv.weight", "hf", "MptForCausalLM", _mpt,
        floats=("alibi_bias_max", "clip_qkv"),
    ),
    Family(
        "falcon", ("n_vocab", "n_embd", "n_head", "n_head_kv", "n_layer", "ftype"),
        "transformer.word_embeddings.weight", "hf", "FalconForCausalLM", _falcon,
    ),
)  # fmt: skip
