"""Objects linked here against the same ones linked by LLVM, and what is left to LLVM."""

from __future__ import annotations

import ctypes
import platform
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from tramontane_backend_cpu.compiling import compiled
from tramontane_backend_cpu.kernels import attention, attention_merge, matmul, rows
from tramontane_backend_cpu.machine_code import NAME, Code, _by_llvm
from tramontane_backend_cpu.numba_setup import Kernel, native
from tramontane_backend_cpu.object_file import ADDRESSES, Linked, Unknown, _sections

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="objects are linked here on x86-64 Linux only",
)
PACKING = matmul.Packing(4, 32, 8, "f16", "", "")


def silu(address: int) -> np.ndarray:
    """What a kernel at an address makes of some numbers."""
    x, out = np.linspace(-9, 9, 37, dtype=np.float32), np.zeros(37, np.float32)
    number = np.zeros(1, np.float32)
    told = {"x": x.ctypes.data, "x_stride": 0, "out": out.ctypes.data, "out_stride": 0}
    told |= {"width": len(x), "value": number.ctypes.data}
    arguments = np.array([told[name] for name in rows.UNARY_FIELDS], np.int64)
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)(address)(arguments.ctypes.data, 0, 1)
    return out


def test_a_kernel_does_the_same_as_when_llvm_links_it() -> None:
    found = compiled(rows.unary("silu"))
    linked = Linked(found)
    address, engine = _by_llvm(found)
    ours, theirs = silu(linked.address_of(NAME)), silu(address)
    assert engine is not None
    assert np.any(ours)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "kernel",
    [
        matmul.affine_kernel(PACKING, 1, False), attention.attention(""),
        attention_merge.merge_splits, attention.split_kernel("f16", 4), rows.rms_norm,
    ],
    ids=["affine", "attention", "merge", "attend", "norm"],
)  # fmt: skip
def test_kernels_need_no_llvm(kernel: Kernel) -> None:
    found = compiled(kernel)
    assert Linked(found).address_of(NAME) > 0


def test_functions_of_the_c_library_are_found() -> None:
    @native(2, result=True)
    def cleared(address, count):  # type: ignore[no-untyped-def]
        return count

    found = compiled(cleared)
    linked = Linked(found)
    symbols = next(s for s in linked._sections if s.kind == 2)
    # the symbol of the function, said to be outside, under a name that the C library has
    index = next(i for i in range(symbols.size // 24) if linked._symbol_name(symbols, i) == NAME)
    data = bytearray(found)
    at = symbols.offset + 24 * index
    (name,) = struct.unpack_from("<I", data, at)
    place = linked._sections[symbols.link].offset + name
    data[place : place + len(NAME) + 1] = b"memset\0".ljust(len(NAME) + 1, b"\0")
    struct.pack_into("<H", data, at + 6, 0)
    expected = ctypes.cast(ctypes.CDLL(None).memset, ctypes.c_void_p).value
    assert Linked(bytes(data)).address_of("memset") == expected
    data[place : place + 7] = b"nobody\0"
    with pytest.raises(Unknown, match="nobody"):
        Linked(bytes(data)).address_of("nobody")


def test_what_is_not_known_is_left_to_llvm() -> None:
    found = compiled(rows.unary("silu"))
    sections = _sections(found)
    addresses = next(s for s in sections if s.kind == ADDRESSES and _is_code(found, s))
    data = bytearray(found)
    struct.pack_into("<I", data, addresses.offset + 8, 42)  # R_X86_64_REX_GOTPCRELX
    with pytest.raises(Unknown, match="relocation 42"):
        Linked(bytes(data))
    for damaged in (b"", found[:50], b"MZ" + found[2:], found[:-100]):
        with pytest.raises(Unknown):
            Linked(damaged)


def test_what_llvm_links_works(monkeypatch: pytest.MonkeyPatch) -> None:
    found = compiled(rows.unary("silu"))
    linked = Code(found)
    expected = silu(linked.address)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(Unknown, match="riscv64"):
        Linked(found)
    code = Code(found)
    np.testing.assert_array_equal(silu(code.address), expected)


def test_memory_that_is_executed_cannot_be_written() -> None:
    found = compiled(rows.unary("silu"))
    linked = Linked(found)
    address = linked.address_of(NAME)
    for line in Path("/proc/self/maps").read_text().splitlines():
        bounds, rights, *_ = line.split()
        first, end = (int(part, 16) for part in bounds.split("-"))
        if first <= address < end:
            assert rights == "r-xp"
            return
    pytest.fail("not mapped")


def _is_code(found: bytes, table: object) -> bool:
    return bool(_sections(found)[table.info].flags & 0x4)  # type: ignore[attr-defined]
