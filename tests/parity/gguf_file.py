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
import transformers
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import load_file
from safetensors.torch import save_file

from . import reference
from .families import FAMILIES
from .families.record import Gguf

SIZES = {
    "vocab_size": 96,
    "hidden_size": 256,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 64,
    "head_dim": 32,
    "sliding_window": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
OLDER = {
    "vocab_size": 96, "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 8,
    "max_position_embeddings": 64, "n_embd": 256, "n_layer": 2, "n_head": 8, "n_positions": 64,
    "d_model": 256, "n_layers": 2, "n_heads": 8, "max_seq_len": 64, "n_inner": None,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
"""For the families that have words of their own for sizes: each takes those that it has."""
Floats = npt.NDArray[np.float32]


def pair(family: str, kind: Type, path: Path, about: Gguf | None = None, **settings: Any) -> Any:
    """A random model in transformers, and in a file at `path` with matrices of `kind`.

    about: how it is written, if not as llama.cpp does today.
    """
    record, folder = FAMILIES[family], path.parent / "transformers"
    about = about or record.gguf
    assert about is not None
    model = reference.random(record, _sizes(family, settings), 5)
    model.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    rng = np.random.default_rng(4)
    stored: dict[str, Any] = {}
    for name, data in tensors.items():
        if data.ndim == 1 or any(piece in name for piece in about.plain):
            stored[name] = data
            continue
        turned = data.ndim > 1 and any(
            f"{piece}.weight" in name or name.endswith(piece) for piece in about.turned
        )
        shape = (*data.shape[:-2], *data.shape[:-3:-1]) if turned else data.shape
        stored[name] = random_blocks(shape, kind, rng)
        numbers = gguf.quants.dequantize(stored[name], kind).reshape(shape)
        tensors[name] = np.ascontiguousarray(np.swapaxes(numbers, -1, -2) if turned else numbers)
    as_torch = {name: torch.from_numpy(np.array(data)) for name, data in tensors.items()}
    save_file(as_torch, folder / "model.safetensors", {"format": "pt"})
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation=record.attention, experts_implementation="eager"
    )
    model.config.allow_global_per_layer_attribute_access = True  # ours is said once, too
    write(about, about.convert(stored, model.config), model.config, kind, path)
    return theirs.eval()


def _sizes(family: str, settings: dict[str, Any]) -> dict[str, Any]:
    record = FAMILIES[family]
    assert record.gguf is not None
    if record.shared is FAMILIES["llama"].shared:
        sizes = {**SIZES, **record.gguf.sizes, **settings}
    else:
        theirs = {key: OLDER[key] for key in record.shared if key in OLDER}
        if "intermediate_size" in record.shared:
            theirs["intermediate_size"] = 256
        sizes = {**theirs, **record.gguf.sizes, **settings}
    return sizes


def write(about: Gguf, tensors: dict[str, Any], config: Any, kind: Type, path: Path) -> None:
    """Write converted tensors, matrices of `kind` as bytes, under the package's own names."""
    arch = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == about.arch)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    writer = gguf.GGUFWriter(path, about.arch)
    for key, value in {**_keys(config), **about.keys(config)}.items():
        name = f"{about.arch}.{key}".removeprefix(f"{about.arch}..")
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, list):
            writer.add_array(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        elif isinstance(value, str):
            writer.add_string(name, value)
        elif value is not None:
            writer.add_float32(name, value)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    letters = [chr(ord("!") + index) for index in range(config.vocab_size - 1)]
    writer.add_token_list([*letters, "ab"])
    writer.add_token_types([1] * config.vocab_size)
    writer.add_token_merges(["a b"])
    for name, data in tensors.items():
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        stored = name if name.startswith("blk.") else known
        assert stored is not None, name
        writer.add_tensor(stored, data, raw_dtype=None if data.dtype == np.float32 else kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _keys(config: Any) -> dict[str, Any]:
    """What every file says, in config.json's numbers."""
    heads = getattr(config, "num_attention_heads", 1)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    ropes = getattr(config, "rope_parameters", None) or {}
    return {
        "block_count": config.num_hidden_layers,
        "embedding_length": config.hidden_size,
        "feed_forward_length": getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        "attention.head_count": heads,
        "attention.head_count_kv": getattr(config, "num_key_value_heads", None) or heads,
        "attention.key_length": head_dim,
        "attention.value_length": head_dim,
        "context_length": getattr(config, "max_position_embeddings", None),
        "attention.layer_norm_rms_epsilon": getattr(config, "rms_norm_eps", None),
        "rope.freq_base": ropes.get("rope_theta"),
        "vocab_size": config.vocab_size,
    }


MIDDLE = {Type.Q4_1: -7.5, Type.Q5_1: -15.5, Type.Q2_K: 1.5, Type.Q4_K: 7.5, Type.Q5_K: 15.5}
"""A block's second number as a multiple of its first, for codes that are half above it."""


def random_blocks(shape: tuple[int, ...], kind: Type, rng: np.random.Generator) -> Any:
    """Random codes under scales of a size that a trained matrix has."""
    if kind in (Type.F32, Type.F16, Type.BF16):
        return gguf.quants.quantize(rng.normal(0, 0.08, shape).astype(np.float32), kind)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (*shape[:-1], shape[-1] // block, size), dtype=np.uint8)
    if kind == Type.NVFP4:  # scales are floats of 8 bits
        raw[..., :4] = rng.integers(8, 40, (*raw.shape[:-1], 4), dtype=np.uint8)
        return raw.reshape(*shape[:-1], -1)
    if kind == Type.MXFP4:  # scales are powers of two
        raw[..., 0] = rng.integers(121, 125, raw.shape[:-1], dtype=np.uint8)
        return raw.reshape(*shape[:-1], -1)
    if kind == Type.IQ1_M:  # a scale's bits are the highest of four words
        words = raw[..., 48:].view("<u2")
        d = (2e-2 * rng.uniform(0.5, 1.5, raw.shape[:-1])).astype(np.float16).view(np.uint16)
        high = d[..., None] >> np.array([0, 4, 8, 12], np.uint16) & 15
        words[...] = words & 0x0FFF | high << 12
        return raw.reshape(*shape[:-1], -1)
    where = {Type.TQ1_0: (52,), Type.TQ2_0: (64,), Type.Q2_K: (80, 82), Type.Q3_K: (108,),
             Type.Q4_K: (0, 2), Type.Q5_K: (0, 2),
             Type.Q6_K: (208,), Type.Q4_1: (0, 2), Type.Q5_1: (0, 2)}.get(kind, (0,))  # fmt: skip
    typical = {Type.Q8_0: 1e-3, Type.Q2_K: 4e-3, Type.Q3_K: 1e-3, Type.Q4_K: 4e-4,
               Type.Q5_K: 2e-4, Type.Q6_K: 5e-5, Type.IQ4_XS: 5e-5, Type.TQ1_0: 8e-2,
               Type.TQ2_0: 5e-2, Type.IQ2_XXS: 1e-3, Type.IQ2_XS: 1e-3, Type.IQ2_S: 1e-3,
               Type.IQ3_XXS: 3e-4, Type.IQ3_S: 1e-3}.get(kind, 1e-2)  # fmt: skip
    if kind == Type.TQ2_0:  # a fourth code is not written
        digits = rng.integers(0, 3, (*raw.shape, 4), dtype=np.uint8)
        raw = np.bitwise_or.reduce(digits << np.array([0, 2, 4, 6], np.uint8), -1)
    scales = (typical * rng.uniform(0.5, 1.5, raw.shape[:-1])).astype(np.float16)
    for offset in where:
        if offset != where[0]:  # weights around zero: without, logits would all be alike
            middle = MIDDLE[kind] * rng.uniform(0.9, 1.1, raw.shape[:-1])
            scales = (scales * middle).astype(np.float16)
        raw[..., offset : offset + 2] = scales[..., None].view(np.uint8)
    return raw.reshape(*shape[:-1], -1)
