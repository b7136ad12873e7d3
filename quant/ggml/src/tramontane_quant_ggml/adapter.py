"""A LoRA adapter of 2023, as llama.cpp's convert-lora-to-ggml.py wrote it.

    "algg" | version i32, 1 | rank i32 | alpha i32
    until the end   tensors as in GGJT, aligned to 32 bytes

Of a matrix NAME (rows, columns) there are NAME.loraA, which lies as (columns, rank), and
NAME.loraB (rows, rank): what is added is alpha / rank * loraB @ loraA.T. Rows are those of the
model's own file, so that no rule for q and k is applied twice. There are such files of LLaMA only.
Source: rustformers' llm and llama.cpp of spring 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from tramontane.adapters.stored import Delta, StoredAdapter
from tramontane.errors import AdapterError, CheckpointError
from tramontane.layouts.low_rank import LowRank
from tramontane.sanitize import one_line
from tramontane_quant_gguf.header import Stretch
from tramontane_quant_gguf.mapped import Mapped
from tramontane_quant_gguf.names import DECODER

from .families import FAMILIES
from .header import LORA, MOST_TENSORS, Walk

FIRST, SECOND = "loraA", "loraB"
FLOATS = {0: torch.float32, 1: torch.float16}
MOST_RANK = 1 << 16


def read_adapter(path: Path) -> StoredAdapter:
    """The adapter of a file, or of the only one of a folder. Raises AdapterError."""
    path = _file(path)
    mapped = Mapped(path)
    try:
        return _read(mapped, path)
    except CheckpointError as error:
        raise AdapterError(str(error)) from error
    finally:
        mapped.close()


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("ggml-adapter-model*.bin")) + sorted(path.glob("*.ggla"))
    if len(found) != 1:
        raise AdapterError(f"{path} has {len(found)} GGLA files: name one of them")
    return found[0]


def _read(mapped: Mapped, path: Path) -> StoredAdapter:
    buffer = mapped.buffer
    if bytes(buffer[:4]) != LORA:
        raise AdapterError(f"{path} is no GGLA file: it begins with {bytes(buffer[:4])!r}")
    family = FAMILIES[0]
    walk = Walk(buffer, path, "ggjt", 1, family)
    walk.cursor.position = 4
    version, rank, alpha = (walk.cursor.u32(what) for what in ("the version", "the rank", "alpha"))
    if version != 1:
        raise AdapterError(f"{path}: GGLA version {version}; 1 is known")
    if not 0 < rank <= MOST_RANK or alpha > MOST_RANK * 256:
        raise AdapterError(f"{path}: rank {rank} and alpha {alpha} cannot be")
    parts: dict[str, dict[str, Tensor]] = {}
    while walk.cursor.position < walk.cursor.size:
        each = walk.tensor(3)
        name, _, part = each.name.rpartition(".")
        if part not in (FIRST, SECOND) or part in parts.setdefault(name, {}):
            raise AdapterError(f"{path}: {one_line(each.name, 120)} has no place in an adapter")
        parts[name][part] = _tensor(mapped, each, path)
        if len(parts) > MOST_TENSORS:
            raise AdapterError(f"{path}: too many tensors")
    if not parts:
        raise AdapterError(f"{path} has no tensors of an adapter")
    deltas = {
        family.rename(name): Delta(_matrix(name, pair, rank, alpha, path))
        for name, pair in parts.items()
    }
    return StoredAdapter(deltas, dialect="gguf", names=DECODER)


def _tensor(mapped: Mapped, each: Stretch, path: Path) -> Tensor:
    shown = one_line(each.name, 120)
    if each.type not in FLOATS:
        raise AdapterError(f"{path}: {shown} is neither float32 nor float16")
    data = mapped.tensor(FLOATS[each.type], each.start, each.nbytes).float().clone()
    if not data.isfinite().all():
        raise AdapterError(f"{path}: {shown} has numbers that are not finite")
    return data.reshape(each.shape)


def _matrix(name: str, pair: Mapping[str, Tensor], rank: int, alpha: int, path: Path) -> LowRank:
    shown = one_line(name, 120)
    for part in (FIRST, SECOND):
        if part not in pair:
            raise AdapterError(f"{path}: {shown} has no {part}")
        if pair[part].dim() != 2 or pair[part].shape[1] != rank:
            raise AdapterError(
                f"{path}: {shown}.{part} is {tuple(pair[part].shape)}, of the rank {rank}"
            )
    return LowRank(pair[SECOND] * (alpha / rank), pair[FIRST].mT.contiguous())
