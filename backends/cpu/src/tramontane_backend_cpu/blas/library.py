"""A BLAS library through its C interface, CBLAS: where its functions are, and how they are called.

What differs between libraries is here: names around `cblas_sgemm`, and the width of integers.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FUNCTIONS = {"f32": "cblas_sgemm", "bf16": "cblas_gemm_bf16bf16f32"}
"""By the type of what is multiplied; sums are float32. The second is MKL's."""


@dataclass(frozen=True)
class Library:
    """path: of the shared library. prefix, suffix: around its functions' names, such as "64_".
    wide: whether its integers have 64 bits. version: as it says itself; choices are kept by it."""

    name: str
    path: Path
    version: str
    prefix: str = ""
    suffix: str = ""
    wide: bool = False

    def open(self) -> Any:
        """The library, loaded. Raises OSError."""
        return ctypes.CDLL(str(self.path))

    def address(self, kind: str) -> int:
        """Of the function that multiplies numbers of a kind; 0 if it has none. Raises OSError."""
        name = f"{self.prefix}{FUNCTIONS[kind]}{self.suffix}"
        try:
            function = getattr(self.open(), name)
        except AttributeError:
            return 0
        return ctypes.cast(function, ctypes.c_void_p).value or 0

    def identity(self) -> str:
        """What choices that were measured depend on: another file is another library. A library of
        the system may have no file."""
        try:
            about = os.stat(self.path)
        except OSError:
            return f"{self.name} {self.version}"
        return f"{self.name} {self.version} {about.st_size} {about.st_mtime_ns}"
