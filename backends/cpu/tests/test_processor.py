"""What is asked of a processor, and of systems that this one is not."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from types import SimpleNamespace

import llvmlite.binding as llvm
import psutil
import pytest
from tramontane_backend_cpu import processor, threads
from tramontane_backend_cpu.cpu_features import Host
from tramontane_backend_cpu.vector.target import fitting

Play = Callable[..., None]
LINUX_SEES = {"neon": True, "fp-armv8": True, "lse": True, "sve": True}
"""Of a Graviton 3, by LLVM 22."""
DOTPROD, I8MM, BF16 = 1 << 20, 1 << 13, 1 << 14


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """(triple, system, what LLVM sees, library) -> this process believes to be there."""

    def play(triple: str, system: str, seen: dict[str, bool], library: object) -> None:
        monkeypatch.delenv("NUMBA_CPU_FEATURES", raising=False)
        features = tuple(name for name, has in seen.items() if has)
        monkeypatch.setattr(processor, "host", lambda: Host("a processor", triple, features))
        monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: llvm.FeatureMap(seen))
        monkeypatch.setattr(platform, "system", lambda: system)
        monkeypatch.setattr(ctypes, "CDLL", lambda name: library)

    return play


def linux(first: int, second: int) -> SimpleNamespace:
    """A C library with two words of capabilities."""

    def getauxval(which: int) -> int:
        return {16: first, 26: second}[which]

    return SimpleNamespace(getauxval=getauxval)


def macos(**numbers: int) -> SimpleNamespace:
    """One with the numbers that sysctl tells; 32 bits each, as most are there."""

    def sysctlbyname(name: bytes, value: object, size: object, *_: object) -> int:
        found = numbers.get(name.decode().rpartition(".")[2])
        if found is None:
            return -1
        value._obj.value = found  # type: ignore[attr-defined]
        return 0

    return SimpleNamespace(sysctlbyname=sysctlbyname)


def names() -> list[str]:
    return [kind.name for kind in fitting()]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (DOTPROD, I8MM | BF16, ["neon-mixed", "neon-dot", "neon", "portable"]),
        (DOTPROD, I8MM, ["neon-dot", "neon", "portable"]),
        (0, 0, ["neon", "portable"]),
    ],
    ids=["Graviton 3", "no bfloat16", "Raspberry Pi 4"],
)
def test_linux_on_arm(play: Play, first: int, second: int, expected: list[str]) -> None:
    play("aarch64-unknown-linux-gnu", "Linux", LINUX_SEES, linux(first, second))
    assert names() == expected


def test_numba_is_told_what_llvm_does_not_see(play: Play) -> None:
    play("aarch64-unknown-linux-gnu", "Linux", LINUX_SEES, linux(DOTPROD, 0))
    told = (processor.for_numba() or "").split(",")
    assert {"+dotprod", "+neon", "+lse"} <= set(told)
    assert processor.features() == {name[1:] for name in told}


@pytest.mark.parametrize(
    ("told", "best"),
    [
        ({"FEAT_DotProd": 1, "FEAT_I8MM": 1, "FEAT_BF16": 1}, "neon-mixed"),
        ({"FEAT_DotProd": 1, "FEAT_I8MM": 0, "FEAT_BF16": 0}, "neon-dot"),
        ({}, "neon"),
    ],
    ids=["M2", "M1", "macOS 11"],
)
def test_apple(play: Play, told: dict[str, int], best: str) -> None:
    play("arm64-apple-darwin23.0.0", "Darwin", {}, macos(**told))
    assert names()[0] == best


def test_windows_on_arm(play: Play) -> None:
    library = SimpleNamespace(IsProcessorFeaturePresent=lambda number: int(number == 43))
    play("aarch64-pc-windows-msvc", "Windows", {"neon": True}, library)
    assert names()[0] == "neon-dot"


def test_x86_needs_no_help(play: Play) -> None:
    seen = {"avx2": True, "fma": True, "f16c": True, "avx512f": False}
    play("x86_64-pc-windows-msvc", "Windows", seen, None)
    assert names() == ["avx2", "portable"]
    assert processor.for_numba() is None


def test_what_is_told_counts_alone(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    play("aarch64-unknown-linux-gnu", "Linux", LINUX_SEES, linux(DOTPROD, I8MM | BF16))
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+neon,-dotprod")
    assert names() == ["neon", "portable"]
    assert processor.for_numba() is None


def test_apple_computes_on_fast_cores(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    play("arm64-apple-darwin23.0.0", "Darwin", {}, macos(physicalcpu=4))
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 8)
    monkeypatch.setattr(psutil, "Process", lambda: SimpleNamespace())
    monkeypatch.setattr(threads, "_quota", lambda: None)
    assert threads.usable() == 4
    monkeypatch.setattr(ctypes, "CDLL", lambda name: macos())  # one of Intel's
    assert threads.usable() == 8
