"""One safetensors file, mapped into memory."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Mapping
from math import prod
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from tramontane.block_format import Plain, Raw, Stored
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout
from tramontane.sanitize import one_line

from .checkpoint import TensorInfo
from .safetensors_damage import damage

BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "C64": 64,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U8": 8, "BOOL": 8, "U16": 16, "U32": 32, "U64": 64,
}  # fmt: skip

PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class SafetensorsFile:
    """A file whose header the safetensors library has checked: sizes, offsets, no overlap.
    metadata: the texts of its `__metadata__`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # raises PermissionError, instead of calling the file damaged
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._closed = weakref.finalize(self, os.close, self._descriptor)
        try:
            self._file = safe_open(path, framework="pt")
            self._infos = {}
            for name in self._file.keys():  # noqa: SIM118 - safe_open is no mapping
                part = self._file.get_slice(name)
                shape, stored = tuple(part.get_shape()), part.get_dtype()
                self._infos[name] = TensorInfo(
                    shape, stored, -(-prod(shape) * BITS.get(stored, 8) // 8)
                )
            self._starts = self._offsets()
            self.metadata: Mapping[str, str] = MappingProxyType(self._file.metadata() or {})
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{path} is not a whole safetensors file: {damage(error)}; "
                "if it was downloaded, download it again"
            ) from error

    def infos(self) -> Mapping[str, TensorInfo]:
        return self._infos

    def read(self, name: str) -> Layout:
        try:
            return Dense(self._file.get_tensor(name))
        except (SafetensorError, RuntimeError, AttributeError) as error:
            # the last two: a dtype that this version of torch does not support
            raise CheckpointError(
                f"{self.path}: cannot read {one_line(name)}: {one_line(error)}"
            ) from error

    def stored(self, name: str) -> Stored | None:
        """An unquantized matrix as stored in the file. Implements `ReadsStored`."""
        info = self._infos[name]
        if info.stored not in PLAIN or len(info.shape) != 2:
            return None
        dtype, (rows, columns) = PLAIN[info.stored], info.shape

        def translate(raw: Raw, rows: int, columns: int) -> Layout:
            data = torch.from_numpy(raw[0 : len(raw)]).view(dtype)
            return Dense(data.view(rows, columns))

        start = self._starts[name]
        raw = _ByteRange(self.path, self._descriptor, start, info.nbytes)
        return Stored(raw, (rows, columns), Plain(dtype), translate, (self._descriptor, start))

    def _offsets(self) -> dict[str, int]:
        """Byte offset of each tensor; the library has checked them, but has no API for them."""
        with open(self._descriptor, "rb", closefd=False) as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        return {
            name: 8 + size + entry["data_offsets"][0]
            for name, entry in header.items() if name != "__metadata__"
        }  # fmt: skip

    def close(self) -> None:
        """Close the file; its mapping lives as long as its tensors."""
        self._closed()


class _ByteRange:
    """The bytes of a tensor in a file, read when they are sliced. Implements `Raw`."""

    def __init__(self, path: Path, descriptor: int, start: int, nbytes: int) -> None:
        self._path, self._descriptor = path, descriptor
        self._start, self._nbytes = start, nbytes

    def __len__(self) -> int:
        return self._nbytes

    def __getitem__(self, run: slice) -> NDArray[np.uint8]:
        start, stop, _ = run.indices(self._nbytes)
        with open(self._descriptor, "rb", closefd=False) as file:
            file.seek(self._start + start)
            data = np.fromfile(file, np.uint8, stop - start)
        if len(data) < stop - start:
            raise CheckpointError(f"{self._path}: the file has become shorter")
        return data
