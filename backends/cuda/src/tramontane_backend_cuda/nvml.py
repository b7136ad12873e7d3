"""NVIDIA's cards by the driver's own management library, which makes no context on any card.

libnvidia-ml comes with the driver. `torch.cuda` would import torch and take seconds.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LIBRARY = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"
TEXT = 96
"""Bytes that a name may take."""


class NvmlError(Exception):
    """The library refused a call."""


@dataclass(frozen=True)
class Found:
    """A card. capability: compute capability, (8, 0) for an A100. memory: in bytes."""

    index: int
    name: str
    uuid: str
    capability: tuple[int, int]
    memory_total: int
    memory_free: int


@dataclass(frozen=True)
class Driver:
    """version: of the driver. cuda: the newest CUDA that it runs, "13.0"."""

    version: str
    cuda: str
    cards: tuple[Found, ...]


class _Memory(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong),
    )  # fmt: skip


def opened() -> Any:
    """The library. Raises OSError where there is no driver."""
    return ctypes.CDLL(LIBRARY)


def look(library: Callable[[], Any] = opened) -> Driver | None:
    """What the driver says; None where there is no driver. Raises NvmlError where it does not
    answer."""
    try:
        nvml = library()
    except OSError:
        return None
    _call(nvml, "nvmlInit_v2")
    try:
        count, cuda = ctypes.c_uint(), ctypes.c_int()
        _call(nvml, "nvmlDeviceGetCount_v2", ctypes.byref(count))
        _call(nvml, "nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(cuda))
        version = _text(nvml, "nvmlSystemGetDriverVersion")
        cards = tuple(_card(nvml, index) for index in range(count.value))
        return Driver(version, f"{cuda.value // 1000}.{cuda.value % 1000 // 10}", cards)
    finally:
        nvml.nvmlShutdown()


def _card(nvml: Any, index: int) -> Found:
    handle, major, minor, memory = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int(), _Memory()
    _call(nvml, "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
    _call(
        nvml, "nvmlDeviceGetCudaComputeCapability", handle, ctypes.byref(major), ctypes.byref(minor)
    )
    _call(nvml, "nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
    return Found(
        index,
        _text(nvml, "nvmlDeviceGetName", handle),
        _text(nvml, "nvmlDeviceGetUUID", handle),
        (major.value, minor.value),
        int(memory.total),
        int(memory.free),
    )


def _text(nvml: Any, name: str, *arguments: Any) -> str:
    buffer = ctypes.create_string_buffer(TEXT)
    _call(nvml, name, *arguments, buffer, ctypes.c_uint(TEXT))
    return buffer.value.decode(errors="replace")


def _call(nvml: Any, name: str, *arguments: Any) -> None:
    code = getattr(nvml, name)(*arguments)
    if code:
        raise NvmlError(f"{name} returned {code}")
