"""The one CPU there is. Found without importing torch or numba."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil
from tramontane import memory
from tramontane.backend import Device
from tramontane.errors import ConfigError

from . import memory_ahead
from .threads import usable

TOLD = (
    "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16",
    "amx_tile", "amx_int8", "asimd", "asimddp", "i8mm", "bf16", "sve",
)  # fmt: skip
"""The instruction sets that decide how fast matrices multiply, as Linux names them."""


def probe() -> list[Device]:
    """This machine's processor, with the memory that this process may use."""
    label, flags = _cpu()
    physical = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return [
        Device(
            name="cpu",
            torch_device="cpu",
            label=label,
            memory_total=memory.total(),
            memory_free=memory.free() + memory_ahead.held(),
            kv_dtype="float16",
            features=tuple(name for name in TOLD if name in flags),
            details={
                "physical cores": str(physical),
                "threads used": str(usable()),
                "kernels for": _kernels(),
            },
        )
    ]


def _kernels() -> str:
    """The instruction set that kernels are compiled for."""
    try:
        from .vector.chosen import SET
    except (ImportError, OSError, ConfigError) as error:  # a probe never raises
        return f"nothing: {error}"
    return SET.name


def _cpu() -> tuple[str, frozenset[str]]:
    """What the processor is called, and what it can do."""
    label, flags = platform.processor() or platform.machine(), frozenset[str]()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:  # not Linux
        return label, flags
    for line in lines:
        key, _, value = line.partition(":")
        match key.strip():
            case "model name":
                label = value.strip()
            case "flags" | "Features":
                return label, frozenset(value.split())
    return label, flags
