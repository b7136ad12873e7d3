"""One safetensors file, mapped into memory."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path

from safetensors import SafetensorError, safe_open

from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout
from tramontane.one_line import one_line

from .checkpoint import TensorInfo

BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "C64": 64,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U8": 8, "BOOL": 8, "U16": 16, "U32": 32, "U64": 64,
}  # fmt: skip


class SafetensorsFile:
    """A file whose header the safetensors library has checked: sizes, offsets, no overlap."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb"):  # who may not read it should hear that, not that it is damaged
            pass
        try:
            self._file = safe_open(path, framework="pt")
            self._infos = {}
            for name in self._file.keys():  # noqa: SIM118 - safe_open is no mapping
                part = self._file.get_slice(name)
                shape, stored = tuple(part.get_shape()), part.get_dtype()
                self._infos[name] = TensorInfo(
                    shape, stored, -(-prod(shape) * BITS.get(stored, 8) // 8)
                )
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{path} is not a whole safetensors file: {one_line(error)}; "
                "if it was downloaded, download it again"
            ) from error

    def infos(self) -> Mapping[str, TensorInfo]:
        return self._infos

    def read(self, name: str) -> Layout:
        try:
            return Dense(self._file.get_tensor(name))
        except (SafetensorError, RuntimeError, AttributeError) as error:
            # the last two: a dtype that this torch does not have
            raise CheckpointError(
                f"{self.path}: cannot read {one_line(name)}: {one_line(error)}"
            ) from error

    def close(self) -> None:
        """The mapping lives as long as its tensors do; there is nothing to release before."""
