"""A transformers model's weights as a GGUF file, written with the `gguf` package.

Matrices are drawn as random blocks of a format, and the model in transformers gets what the
package decodes them to: so both compute with the very same numbers, whatever the format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import torch
from gguf import GGMLQuantizationType as Type

from .families import FAMILIES

SIZES = {
    "vocab_size": 96,
    "hidden_size": 256,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 64,
    "head_dim": 32,
    "rms_norm_eps": 1e-5,
}
Floats = npt.NDArray[np.float32]


def write(model: Any, family: str, kind: Type, path: Path) -> None:
    """Write the model, its matrices replaced on both sides by random blocks of `kind`."""
    record, config = FAMILIES[family], model.config
    arch = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == record.gguf)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    writer = gguf.GGUFWriter(path, record.gguf)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    letters = [chr(ord("!") + index) for index in range(config.vocab_size - 1)]
    writer.add_token_list([*letters, "ab"])
    writer.add_token_types([1] * config.vocab_size)
    writer.add_token_merges(["a b"])
    rng = np.random.default_rng(4)
    for name, parameter in model.named_parameters():
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert stored is not None, name
        data: Floats = parameter.detach().numpy().astype(np.float32)
        if data.ndim == 1:
            writer.add_tensor(stored, interleave(data, name, config, record.gguf))
            continue
        blocks = random_blocks(data.shape, kind, rng)
        shuffled = decode(blocks, kind)
        writer.add_tensor(stored, blocks, raw_dtype=kind)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(restore(shuffled, name, config, record.gguf)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def random_blocks(shape: tuple[int, ...], kind: Type, rng: np.random.Generator) -> Any:
    """Random codes under scales of a size that a trained matrix has."""
    if kind in (Type.F32, Type.F16, Type.BF16):
        return gguf.quants.quantize(rng.normal(0, 0.08, shape).astype(np.float32), kind)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (shape[0], shape[1] // block, size), dtype=np.uint8)
    where = {Type.Q2_K: (80, 82), Type.Q3_K: (108,), Type.Q4_K: (0, 2), Type.Q5_K: (0, 2),
             Type.Q6_K: (208,), Type.Q4_1: (0, 2), Type.Q5_1: (0, 2)}.get(kind, (0,))  # fmt: skip
    typical = {Type.Q8_0: 1e-3, Type.Q2_K: 4e-3, Type.Q3_K: 1e-3, Type.Q4_K: 2e-4,
               Type.Q5_K: 1e-4, Type.Q6_K: 5e-5}.get(kind, 1e-2)  # fmt: skip
    for offset in where:
        scales = (typical * rng.uniform(0.5, 1.5, raw.shape[:2])).astype(np.float16)
        raw[..., offset : offset + 2] = scales[..., None].view(np.uint8)
    return raw.reshape(shape[0], -1)


def decode(blocks: Any, kind: Type) -> Floats:
    out: Floats = gguf.quants.dequantize(blocks, kind)
    return out


def restore(data: Floats, name: str, config: Any, arch: str) -> Floats:
    """Rows from llama.cpp's order of q and k (adjacent pairs) to transformers' (halves)."""
    heads = _heads(name, config, arch)
    if heads is None:
        return data
    pairs = data.reshape(heads, config.head_dim // 2, 2, *data.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(data.shape))


def interleave(data: Floats, name: str, config: Any, arch: str) -> Floats:
    """The other way."""
    heads = _heads(name, config, arch)
    if heads is None:
        return data
    halves = data.reshape(heads, 2, config.head_dim // 2, *data.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(data.shape))


def _heads(name: str, config: Any, arch: str) -> int | None:
    if arch != "llama":
        return None
    if ".q_proj" in name:
        return int(config.num_attention_heads)
    return int(config.num_key_value_heads) if ".k_proj" in name else None
