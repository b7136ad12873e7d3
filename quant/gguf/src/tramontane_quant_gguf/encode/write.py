"""Writing a model as a GGUF file with quantized matrices, from another GGUF file.

The metadata are the source's, byte by byte, but for what says how it is quantized and split. One
matrix at a time is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import torch
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.errors import UsageError

from tramontane_quant_gguf.container import GgufCheckpoint
from tramontane_quant_gguf.formats.table import FORMATS
from tramontane_quant_gguf.names import CONSUMED
from tramontane_quant_gguf.second_scales import NVFP4
from tramontane_quant_gguf.types import STORED
from tramontane_quant_gguf.writer import ALIGNMENT, UINT32, text_bytes

from .encode import TYPES, encode_blocks
from .mixtures import FILE_TYPES, Model, types_of

REPLACED = ("general.file_type", "general.quantization_version", "general.alignment")
PLAIN = {0: torch.float32, 1: torch.float16, 30: torch.bfloat16}
F16 = 1
NUMBERS = {stored.name: number for number, stored in STORED.items()}


def write(source: Any, path: Path, kind: str, progress: Callable[[int, int], None]) -> None:
    """Write a model. source: a `tramontane.quantizing.source.QuantizeSource`. Raises UsageError for
    a source that is no GGUF file, and for an unknown kind."""
    checkpoint = source.checkpoint
    if not isinstance(checkpoint, GgufCheckpoint):
        raise UsageError(
            f"{source.header.path} is no GGUF file, and only from those are GGUF files written: "
            "convert it with llama.cpp's convert_hf_to_gguf.py first, or write a folder"
        )
    tensors = dict(source.header.tensors)
    for name in CONSUMED:
        if (stored := checkpoint.info(name)) is not None:
            tensors[name] = stored
    types = _types(source, tensors, kind)
    for name, others in checkpoint.companions.items():
        # a matrix of another type is read with its second scale, and needs it no more
        if types[name] == NVFP4:
            for each in others:
                if (stored := checkpoint.info(each)) is not None:
                    tensors[each], types[each] = stored, NUMBERS[stored.stored]
    with path.open("wb") as file:
        file.write(_header(checkpoint, tensors, types, kind))
        done, total = 0, sum(info.nbytes for info in tensors.values())
        for name, info in tensors.items():
            data = _data(source, name, info, types[name])
            file.write(data)
            file.write(bytes(-len(data) % ALIGNMENT))
            done += info.nbytes
            progress(done, total)


def _types(source: Any, tensors: Mapping[str, TensorInfo], kind: str) -> dict[str, int]:
    """The type's number of every tensor."""
    config = source.config
    heads = config.get("num_attention_heads") or 1
    model = Model(
        {name: info.shape for name, info in tensors.items()},
        int(heads) // int(config.get("num_key_value_heads") or heads),
        int(config.get("num_local_experts") or 0),
    )
    try:
        chosen = types_of(kind, model)
    except ValueError as error:
        raise UsageError(str(error)) from error
    numbers = {name: NUMBERS[info.stored] for name, info in tensors.items()}
    return {
        name: (F16 if chosen[name] == "f16" else TYPES[chosen[name]]) if name in chosen else number
        for name, number in numbers.items()
    }


def _header(
    checkpoint: GgufCheckpoint, tensors: Mapping[str, TensorInfo], types: Mapping[str, int],
    kind: str,
) -> bytes:  # fmt: skip
    """Everything before the data, padded."""
    kept = [
        pair for key, pair in checkpoint.pairs()
        if key not in REPLACED and not key.startswith("split.")
    ]  # fmt: skip
    for key, number in (("general.file_type", FILE_TYPES[kind]), (REPLACED[1], 2)):
        kept.append(text_bytes(key) + pack("<II", UINT32, number))
    parts = [b"GGUF", pack("<IQQ", 3, len(tensors), len(kept)), *kept]
    offset = 0
    for name, info in tensors.items():
        parts.append(text_bytes(name) + pack("<I", len(info.shape)))
        parts += [pack("<Q", extent) for extent in reversed(info.shape)]
        parts.append(pack("<IQ", types[name], offset))
        size = _size(types[name], info)
        offset += size + -size % ALIGNMENT
    whole = b"".join(parts)
    return whole + bytes(-len(whole) % ALIGNMENT)


def _size(number: int, info: TensorInfo) -> int:
    stored, count = STORED[number], 1
    for extent in info.shape:
        count *= extent
    return count // stored.block * stored.nbytes


def _data(source: Any, name: str, info: TensorInfo, number: int) -> bytes:
    """A tensor as it is written."""
    if STORED[number].name == info.stored:
        return bytes(source.checkpoint.raw(name))
    weight = source.read(name)
    if number in PLAIN:
        plain = weight.to(PLAIN[number]).contiguous()
        return bytes(plain.view(torch.uint8).numpy().tobytes())
    columns = info.shape[-1]
    importance = source.importance.get(name)
    rows = weight.reshape(-1, columns)
    if importance is None or importance.ndim == 1:
        blocks = encode_blocks(rows, FORMATS[number][0].lower(), importance)
    else:
        parts = zip(rows.chunk(len(importance)), importance, strict=True)
        kind = FORMATS[number][0].lower()
        blocks = np.concatenate([encode_blocks(part, kind, each) for part, each in parts])
    return blocks.tobytes()
