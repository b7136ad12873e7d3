"""Half precision without instructions for it: every half, and the floats around every half."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from tramontane_backend_cpu.numba_setup import native
from tramontane_backend_cpu.vector import float16
from tramontane_backend_cpu.vector import instruction_set as llvm
from tramontane_backend_cpu.vector.operation import Emit, operation

SIXTEEN = ir.VectorType(llvm.HALF, llvm.LANES)


@operation(lambda source, out: types.void)
def widen(emit: Emit, source, out) -> None:  # type: ignore[no-untyped-def]
    emit.store(float16.widened(emit, emit.load(source, 0, SIXTEEN)), out, 0)


@operation(lambda source, out: types.void)
def narrow(emit: Emit, source, out) -> None:  # type: ignore[no-untyped-def]
    emit.store(float16.narrowed(emit, emit.load(source, 0, llvm.FLOATS)), out, 0)


@native(3)
def widen_all(source, out, count):  # type: ignore[no-untyped-def]
    for i in range(count):
        widen(source + 32 * i, out + 64 * i)


@native(3)
def narrow_all(source, out, count):  # type: ignore[no-untyped-def]
    for i in range(count):
        narrow(source + 64 * i, out + 32 * i)


def test_every_half_is_widened() -> None:
    source = np.arange(1 << 16, dtype=np.uint16)
    out = np.empty(1 << 16, np.float32)
    widen_all.ctypes(source.ctypes.data, out.ctypes.data, len(source) // 16)
    with np.errstate(invalid="ignore"):  # Arm says so of NaN that signal
        expected = source.view(np.float16).astype(np.float32)
    nan = np.isnan(expected)
    assert np.array_equal(np.isnan(out), nan)
    assert np.array_equal(out[~nan].view(np.uint32), expected[~nan].view(np.uint32))


def test_floats_are_rounded_to_the_nearest() -> None:
    every = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    between = (every[:-1] + every[1:]) / 2
    random = np.random.default_rng(1).integers(0, 1 << 32, 1 << 16, dtype=np.uint32)
    edges = [65504, 65519.996, 65520, 65536, 1e30, np.inf, np.nan, 2.0**-24, 2.0**-25, 1e-40]
    values = np.concatenate((
        every, between, np.nextafter(between, np.float32(0)),
        np.nextafter(between, np.float32(np.inf)), random.view(np.float32),
        np.array(edges, np.float32),
    ))  # fmt: skip
    values = np.concatenate((values, -values))
    values = np.resize(values, -(-len(values) // 16) * 16)
    out = np.empty(len(values), np.uint16)
    narrow_all.ctypes(values.ctypes.data, out.ctypes.data, len(values) // 16)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(np.float16)
    nan = np.isnan(expected)
    assert np.array_equal(np.isnan(out.view(np.float16)), nan)
    assert np.array_equal(out[~nan], expected[~nan].view(np.uint16))
