"""Importances: how much each column of a matrix is multiplied with, as llama.cpp's files have them.

    .gguf  general.type "imatrix"; for each matrix NAME.in_sum2 f32 (experts, columns), sums of
           squares, and NAME.counts f32 (experts, 1), how many rows were summed
    .dat   entries i32 | per entry: name length i32, name, calls i32, values i32, values f32 |
           chunks i32 | data set length i32, data set          (the last two are not in old files)

A .dat file's values are means of squares times calls. Names are those of GGUF tensors, and become
the model's paths here. Source: llama.cpp's imatrix; the .dat form is from its description, and was
compared with no file of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tramontane.checkpoint.weight_map import module_path
from tramontane.errors import CheckpointError

from .header import MAGIC, read_header
from .names import DECODER
from .writer import Value, Written, write_gguf

SUMS, COUNTS = ".in_sum2", ".counts"
MOST = 1 << 20
"""Entries, or values of one, beyond any model."""


def read(path: Path) -> dict[str, Tensor]:
    """Mean squares by the paths of the model's matrices: (columns), or (experts, columns).

    Raises CheckpointError for a file of neither form, or a damaged one.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    found = _read_gguf(data, path) if data.startswith(MAGIC) else _read_dat(data, path)
    if not found:
        raise CheckpointError(f"{path}: no importances in it")
    return {
        where: torch.from_numpy(means) for name, means in found.items() for where in _paths(name)
    }


def write(importances: Mapping[str, Tensor], path: Path, data_set: str = "") -> None:
    """Write the .gguf form. importances: mean squares by GGUF tensor names, (columns) or
    (experts, columns)."""
    tensors = []
    for name, means in importances.items():
        rows = means.reshape(-1, means.shape[-1]).float().numpy()
        counts = np.ones((len(rows), 1), np.float32)
        tensors += [
            Written(name + SUMS, 0, rows.shape, rows.tobytes()),
            Written(name + COUNTS, 0, counts.shape, counts.tobytes()),
        ]
    metadata: dict[str, Value] = {
        "general.type": "imatrix",
        "imatrix.datasets": [data_set],
        "imatrix.chunk_count": 1,
        "imatrix.chunk_size": 512,
    }
    write_gguf(path, metadata, tensors)


FUSED = "attn_qkv"
"""One matrix of queries, keys and values in some families, whose parts have the same input."""
SHARED = (".mlp.shared_expert.", ".mlp.shared_experts.")
"""An expert for every token in the table of names, and in models."""


def save(importances: Mapping[str, Tensor], path: Path, data_set: str) -> None:
    """Write the .gguf form, which llama.cpp reads. importances: mean squares by the paths of the
    model's matrices; paths that the table of names does not have are left out.

    Raises CheckpointError where that leaves nothing.
    """
    named: dict[str, Tensor] = {}
    theirs = {ours: name for name, ours in DECODER.items()}
    for where, means in importances.items():
        stem = module_path(where.replace(SHARED[1], SHARED[0]), theirs)
        if stem == where:
            continue
        named[f"{stem}.weight"] = means
        if stem.endswith(".attn_q"):
            named[f"{stem.removesuffix('attn_q')}{FUSED}.weight"] = means
    if not named:
        raise CheckpointError(
            f"{path}: no matrix of this model has a name in GGUF files; write a .safetensors file"
        )
    write(named, path, data_set)


def _read_gguf(data: bytes, path: Path) -> dict[str, NDArray[np.float32]]:
    header = read_header(memoryview(data), path)
    if header.metadata.get("general.type") != "imatrix":
        raise CheckpointError(f"{path}: a GGUF file, but its general.type is not imatrix")
    found = {}
    for name, place in header.tensors.items():
        if not name.endswith(SUMS):
            continue
        stem = name.removesuffix(SUMS)
        other = header.tensors.get(stem + COUNTS)
        if other is None or place.type != 0 or other.type != 0:
            raise CheckpointError(f"{path}: {stem} has no {COUNTS} in float32")
        sums, counts = (
            np.frombuffer(data, ">f4" if each.big_endian else "<f4", each.nbytes // 4, each.start)
            .astype("<f4")
            .reshape(-1, each.shape[-1])
            for each in (place, other)
        )
        if len(counts.reshape(-1)) not in (1, len(sums)):
            raise CheckpointError(f"{path}: {stem} has {counts.size} counts for {len(sums)} rows")
        means = sums / np.maximum(counts.reshape(-1, 1), 1)
        found[stem] = means[0] if len(means) == 1 else means
    return found


def _read_dat(data: bytes, path: Path) -> dict[str, NDArray[np.float32]]:
    found: dict[str, NDArray[np.float32]] = {}
    place = 0

    def number(what: str, most: int = MOST) -> int:
        nonlocal place
        if place + 4 > len(data):
            raise CheckpointError(f"{path}: truncated: {what} at {place}, {len(data)} bytes in all")
        (value,) = struct.unpack_from("<i", data, place)
        if not 0 < value <= most:
            raise CheckpointError(f"{path}: {what} at {place} is {value}: no file of importances")
        place += 4
        return int(value)

    for _ in range(number("the number of entries")):
        length = number("the length of a name", 4096)
        name = data[place : place + length].decode("utf-8", "replace")
        place += length
        calls, count = number("the calls", 1 << 31), number("the number of values")
        if place + 4 * count > len(data):
            raise CheckpointError(f"{path}: truncated: {name!r} has {count} values at {place}")
        sums = np.frombuffer(data, "<f4", count, place)
        found[name] = (sums / np.float32(calls)).astype(np.float32)
        place += 4 * count
    return found


def _paths(name: str) -> list[str]:
    """A GGUF tensor's name as the paths of the model's modules."""
    where = module_path(name.removesuffix(".weight"), DECODER)
    if where.endswith(".qkv_proj"):
        return [where, *(where.replace("qkv_proj", f"{part}_proj") for part in "qkv")]
    return [where, where.replace(*SHARED)] if SHARED[0] in where else [where]
