"""Describe the CPU as a device, without importing torch or numba."""

from __future__ import annotations

import psutil
from tramontane import memory
from tramontane.backend import Device
from tramontane.doctor.processor import model
from tramontane.errors import ConfigError

from . import early_memory
from .threads import usable

REPORTED = (
    "avx2", "fma", "f16c", "avxvnni", "avx512f", "avx512bw", "avx512vnni", "avx512bf16",
    "amx-tile", "amx-int8", "neon", "dotprod", "i8mm", "bf16", "sve",
)  # fmt: skip
"""Instruction sets that determine the speed of matrix products, with LLVM's names."""


def probe() -> list[Device]:
    """This machine's processor, with the memory that this process may use."""
    kernels, flags = _kernels()
    physical = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return [
        Device(
            name="cpu",
            torch_device="cpu",
            label=model(),
            memory_total=memory.total(),
            memory_free=memory.free() + early_memory.held(),
            kv_dtype="float16",
            features=tuple(name for name in REPORTED if name in flags),
            details={
                "physical cores": str(physical),
                "threads used": str(usable()),
                "kernels for": kernels,
            },
        )
    ]


def _kernels() -> tuple[str, frozenset[str]]:
    """The instruction set that kernels are compiled for, and the processor's features."""
    try:
        from .processor import features
        from .vector.target import SET
    except (ImportError, OSError, ConfigError) as error:  # a probe never raises
        return f"nothing: {error}", frozenset()
    return SET.name, features()
