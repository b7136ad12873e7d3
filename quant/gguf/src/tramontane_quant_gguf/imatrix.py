"""llama.cpp's importance files: mean squares of what each column of a matrix is multiplied with.

    GGUF  general.type "imatrix", imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size;
          for each matrix NAME.in_sum2 f32 (experts, columns) and NAME.counts f32 (experts, 1)
          mean = in_sum2 / counts
    .dat  entries i32, each: name (length i32, text) | calls i32 | values i32 | f32 values
          then, in newer files, chunks i32 | data set (length i32, text)
          mean = value / calls

Source: llama.cpp's tools/imatrix. A .dat file does not say how many experts a matrix has.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tramontane.errors import CheckpointError

from .header import MAGIC, read_header
from .mapped import Mapped
from .names import DECODER
from .values import Cursor
from .writer import Value, Written, write_gguf

F32 = 0
SUMS, COUNTS = ".in_sum2", ".counts"
WEIGHT = ".weight"


def read_imatrix(path: Path) -> dict[str, Tensor]:
    """Mean squares by the paths of the model's matrices: (columns), or (experts, columns).

    Experts' come as (experts * columns) from a .dat file. Raises CheckpointError.
    """
    return {module_path(name): means for name, means in read_by_names(path).items()}


def read_by_names(path: Path) -> dict[str, Tensor]:
    """The same by the tensors' names in a GGUF model. Raises CheckpointError."""
    file = Mapped(path)
    try:
        data = file.stretch(0, path.stat().st_size)
        whole = memoryview(data[0 : len(data)].tobytes())
    finally:
        file.close()
    found = _gguf(whole, path) if bytes(whole[:4]) == MAGIC else _dat(whole, path)
    if not found:
        raise CheckpointError(f"{path} has no importance of any matrix")
    for name, means in found.items():
        if not means.isfinite().all() or (means < 0).any():
            raise CheckpointError(f"{path}: {name!r} has mean squares that cannot be")
    return found


def module_path(name: str) -> str:
    """`blk.3.attn_q.weight` as `model.layers.3.self_attn.q_proj`; unknown names as they are."""
    stem = name.removesuffix(WEIGHT)
    start, _, rest = stem.partition(".")
    number, _, part = rest.partition(".")
    pattern = f"blk.{{}}.{part}" if start == "blk" and number.isdecimal() else stem
    return DECODER[pattern].format(number) if pattern in DECODER else stem


def write_imatrix(
    path: Path, means: Mapping[str, Tensor], counts: Mapping[str, int], chunk_size: int = 512,
    dataset: str = "",
) -> Path:  # fmt: skip
    """Write the GGUF form. means: by tensors' names, (columns) or (experts, columns). counts: how
    many vectors each was measured with."""
    metadata: dict[str, Value] = {
        "general.type": "imatrix",
        "imatrix.datasets": [dataset],
        "imatrix.chunk_count": max(counts.values(), default=0) // chunk_size,
        "imatrix.chunk_size": chunk_size,
    }
    tensors = []
    for name, mean in means.items():
        wide = mean.detach().float().reshape(-1, mean.shape[-1]).numpy()
        sums = (wide * np.float32(counts[name])).astype("<f4")
        times = np.full((len(wide), 1), counts[name], "<f4")
        tensors.append(Written(name + SUMS, F32, sums.shape, sums.tobytes()))
        tensors.append(Written(name + COUNTS, F32, times.shape, times.tobytes()))
    return write_gguf(path, metadata, tensors)


def write_dat(path: Path, means: Mapping[str, Tensor], calls: int, dataset: str = "") -> Path:
    """Write the .dat form, of whose experts only the number is lost."""
    parts = [struct.pack("<i", len(means))]
    for name, mean in means.items():
        values = (mean.detach().float().numpy().reshape(-1) * np.float32(calls)).astype("<f4")
        text = name.encode()
        parts += [struct.pack("<i", len(text)), text, struct.pack("<ii", calls, len(values))]
        parts.append(values.tobytes())
    text = dataset.encode()
    parts += [struct.pack("<ii", calls, len(text)), text]
    path.write_bytes(b"".join(parts))
    return path


def _gguf(whole: memoryview, path: Path) -> dict[str, Tensor]:
    header = read_header(whole, path)
    if (kind := header.metadata.get("general.type")) != "imatrix":
        raise CheckpointError(f"{path} holds no importances: its general.type is {kind!r}")
    numbers = {}
    for name, place in header.tensors.items():
        if place.type != F32:
            raise CheckpointError(f"{path}: {name!r} is not of float32")
        array = np.frombuffer(whole[place.start : place.start + place.nbytes], "<f4")
        numbers[name] = torch.from_numpy(array.copy()).reshape(place.shape)
    found = {}
    for name, sums in numbers.items():
        if not name.endswith(SUMS):
            continue
        stem = name.removesuffix(SUMS)
        counts = numbers.get(stem + COUNTS)
        columns = sums.shape[-1]
        if counts is None or counts.numel() * columns != sums.numel():
            raise CheckpointError(f"{path}: {stem!r} has sums without as many counts")
        # an expert that nothing was routed to: all columns count alike, as in llama.cpp
        times = counts.reshape(-1, 1)
        means = torch.where(times > 0, sums.reshape(-1, columns) / times.clamp(min=1e-9), 1.0)
        found[stem] = means[0] if len(means) == 1 else means
    return found


def _dat(whole: memoryview, path: Path) -> dict[str, Tensor]:
    cursor = Cursor(whole, str(path))
    found: dict[str, Tensor] = {}
    entries = cursor.u32("the number of entries")
    for index in range(entries):
        what = f"entry {index + 1} of {entries}"
        length = cursor.u32(f"{what}: the length of its name")
        start = cursor.take(length, f"{what}: its name")
        try:
            name = bytes(whole[start : start + length]).decode()
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{path}: {what}: its name is no UTF-8: {error}") from error
        calls = cursor.u32(f"{what}: its calls")
        count = cursor.u32(f"{what}: the number of its values")
        start = cursor.take(4 * count, f"{what}: its values")
        if not 0 < calls < 1 << 31 or not count or not name:
            raise CheckpointError(f"{path}: {what}: {name!r} has {count} values of {calls} calls")
        values = np.frombuffer(whole[start : start + 4 * count], "<f4") / np.float32(calls)
        found[name] = torch.from_numpy(values)
    return found
