"""A stand-in for `torch.mps`: a C++ compiler reads the Metal source, and kernels run on tensors of
the processor, one work item for each group."""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

STAND_IN = Path(__file__).parent / "stand_in"
OPTIONS = [
    "-x", "c++", "-std=c++17", "-ffp-contract=off", "-Wno-attributes", "-Wno-unknown-pragmas",
    f"-I{STAND_IN}",
]  # fmt: skip


class Place(ctypes.Structure):
    """A `uint3`."""

    _fields_ = [("x", ctypes.c_uint), ("y", ctypes.c_uint), ("z", ctypes.c_uint)]


def compiler() -> str | None:
    """A C++ compiler with `_Float16`."""
    return shutil.which("g++")


def check(source: str) -> str:
    """What the compiler says of a source, without running it."""
    command = [str(compiler()), *OPTIONS, "-fsyntax-only", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False).stderr


class FakeMps:
    """Has `compile_shader` as torch.mps has. folder: for what is compiled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.compiled = 0

    def compile_shader(self, source: str) -> Library:
        """Raises SyntaxError with what the compiler says."""
        file = self.folder / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.so"
        if not file.exists():
            command = [str(compiler()), *OPTIONS, "-O1", "-mfma", "-mf16c"]
            command += ["-shared", "-fPIC", "-o", str(file), "-"]
            done = subprocess.run(
                command, input=source, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SyntaxError(done.stderr[:2000])
            self.compiled += 1
        return Library(ctypes.CDLL(str(file)))


class Library:
    """Kernels are attributes."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._library, name)

        def run(*arguments: Any, threads: Sequence[int], group_size: Sequence[int]) -> None:
            assert list(group_size) == [1, 1, 1], "one work item at a time"
            assert len(threads) == 3
            given = [_given(each) for each in arguments]
            for z, y, x in itertools.product(*(range(side) for side in reversed(threads))):
                function(*given, Place(x, y, z), Place(0, 0, 0))

        return run


def _given(value: Any) -> Any:
    """As torch gives it: a tensor's address, integers of 8 bytes, floats of 4."""
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    if isinstance(value, float):
        return ctypes.byref(ctypes.c_float(value))
    assert isinstance(value, int), f"torch takes no {type(value).__name__}"
    return ctypes.byref(ctypes.c_int64(value))
