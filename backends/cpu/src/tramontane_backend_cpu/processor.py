"""CPU feature detection, with LLVM's feature names.

LLVM detects 64-bit Arm features only on Linux and Windows, and not the dot products of bytes or of
bfloat16, which determine the speed of matrix products. These are detected here.
"""

from __future__ import annotations

import ctypes
import os
import platform

from .cpu_features import host

ARM = {
    "dotprod": (16, 20, "FEAT_DotProd", 43),
    "i8mm": (26, 13, "FEAT_I8MM", 66),
    "bf16": (26, 14, "FEAT_BF16", 68),
}
"""Linux's auxiliary vector entry and the bit in it (getauxval: AT_HWCAP, AT_HWCAP2), macOS's name
(sysctl), Windows's number (IsProcessorFeaturePresent)."""


def architecture() -> str:
    """The machine's architecture with LLVM's name on Linux: x86_64, aarch64, and so on."""
    name = host().triple.partition("-")[0]
    return {"arm64": "aarch64", "arm64e": "aarch64", "x86_64h": "x86_64"}.get(name, name)


def features() -> frozenset[str]:
    """Features that kernels are compiled for: the machine's, or NUMBA_CPU_FEATURES."""
    override = os.environ.get("NUMBA_CPU_FEATURES")
    if override is not None:
        return frozenset(name[1:] for name in override.split(",") if name.startswith("+"))
    return frozenset(host().features) | unseen()


def unseen() -> frozenset[str]:
    """Features of the machine that LLVM does not detect."""
    if architecture() != "aarch64":
        return frozenset()
    detected = {name for name, where in ARM.items() if _has(*where)}
    return frozenset(detected | {"neon"})  # which all systems require


def for_numba() -> str | None:
    """The features in numba's format; None if numba detects them itself."""
    if "NUMBA_CPU_FEATURES" in os.environ or not (more := unseen()):
        return None
    import llvmlite.binding as llvm

    seen = llvm.get_host_cpu_features().flatten()
    return ",".join([*([seen] if seen else []), *(f"+{name}" for name in sorted(more))])


def sysctl(name: str) -> int:
    """A value of macOS's sysctl; 0 if it does not exist, or on other systems."""
    if platform.system() != "Darwin":
        return 0
    value = ctypes.c_int64(0)  # filled with 32 or 64 bits, little-endian
    size = ctypes.c_size_t(ctypes.sizeof(value))
    ask = ctypes.CDLL(None).sysctlbyname
    failed = ask(name.encode(), ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0))
    return 0 if failed else value.value


def _has(word: int, bit: int, name: str, number: int) -> bool:
    match platform.system():
        case "Linux":
            ask = ctypes.CDLL(None).getauxval
            ask.argtypes, ask.restype = [ctypes.c_ulong], ctypes.c_ulong
            return bool(ask(word) >> bit & 1)
        case "Darwin":
            return bool(sysctl(f"hw.optional.arm.{name}"))
        case "Windows":
            return bool(ctypes.CDLL("kernel32").IsProcessorFeaturePresent(number))
    return False
