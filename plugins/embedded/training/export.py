"""Writes a trained model as GGUF version 3 with Q8_0 matrices, as llama.cpp's converter would."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
from generator import DOCUMENT, END
from model import Llama, Shape
from numpy.typing import NDArray
from tokenizer import SPECIALS
from tokenizers import Tokenizer

CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8")
NAMES = {
    "input_layernorm": "attn_norm",
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}
WHOLE = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}


def gguf_name(name: str) -> str:
    """A parameter's name in a GGUF file."""
    if name in WHOLE:
        return WHOLE[name]
    _, index, part, kind = name.split(".")
    return f"blk.{index}.{NAMES[part]}.{kind}"


def interleave(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Query or key rows from half-split to interleaved RoPE order, which GGUF has for llama."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, rows.shape[1])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def write_vocabulary(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    """Tokens, their types, merges, special ids and the chat template."""
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    kinds = [gguf.TokenType.CONTROL if t in SPECIALS else gguf.TokenType.NORMAL for t in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(model["vocab"][DOCUMENT])
    writer.add_eos_token_id(model["vocab"][END])
    writer.add_pad_token_id(model["vocab"][DOCUMENT])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def write_shape(writer: gguf.GGUFWriter, shape: Shape) -> None:
    """The hyperparameters under llama's keys."""
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_vocab_size(shape.vocab)


def export(model: Llama, tokenizer: Tokenizer, path: Path) -> None:
    """Write the file. The head is tied, so there is no output matrix."""
    shape = model.shape
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name("Tramontane embedded")
    writer.add_description(
        "A tiny chat model: stories, small talk, tool calls and Tramontane's commands."
    )
    writer.add_license("MIT")
    writer.add_languages(["en"])
    write_shape(writer, shape)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    write_vocabulary(writer, tokenizer)
    for name, weight in model.named_parameters():
        value = weight.detach().float().numpy()
        if name.endswith("q_proj.weight"):
            value = interleave(value, shape.heads)
        elif name.endswith("k_proj.weight"):
            value = interleave(value, shape.kv_heads)
        if value.ndim == 1:
            writer.add_tensor(gguf_name(name), value)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            packed = gguf.quants.quantize(value, kind)
            writer.add_tensor(gguf_name(name), packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
