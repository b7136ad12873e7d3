"""Metal kernels by torch's shader compiler, as `kernel_call.Kernels` of the OpenCL backend."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tramontane_backend_opencl.kernel_call import GRAPHICS, Argument, Sizes
from tramontane_backend_opencl.source import source_of

PRELUDE = Path(__file__).with_name("prelude_metal.h")


class MetalKernels:
    """Compiled as they are asked for. sizes: see `Sizes`; tests have one lane."""

    def __init__(self, sizes: Sizes = GRAPHICS) -> None:
        self.sizes = sizes
        self.launches = 0
        """Kernels that were started."""
        self._made: dict[Any, Any] = {}
        self._lock = threading.RLock()
        self._prelude = PRELUDE.read_text(encoding="utf-8")

    def source(self, kernel: str, **constants: Any) -> str:
        """What is compiled for a kernel."""
        return source_of(kernel, {**constants, "LANES": self.sizes.lanes}, self._prelude)

    def run(
        self, kernel: str, grid: Sequence[int], arguments: Sequence[Argument], **constants: Any
    ) -> None:
        """Implements `Kernels.run`."""
        if 0 in grid:
            return
        key = (kernel, *constants.items())
        lanes = self.sizes.lanes
        with self._lock:
            made = self._made.get(key)
            if made is None:
                library = torch.mps.compile_shader(self.source(kernel, **constants))
                made = self._made[key] = getattr(library, kernel)
            sides = [*grid, 1, 1][:3]
            made(
                *arguments, threads=[sides[0] * lanes, *sides[1:]], group_size=[lanes, 1, 1]
            )  # numbers go by position too: torch writes integers of 8 bytes, of which 4 are read
            self.launches += 1


@cache
def kernels() -> MetalKernels:
    """Those of this machine's graphics, made once."""
    return MetalKernels()
