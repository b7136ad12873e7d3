"""Products of signed bytes with a tile of vectors, for a cache of codes, and how it is written."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from . import instruction_set as llvm
from .memory import narrowed
from .operation import Emit, Register, operation, types
from .put_units import peak_of


@operation(lambda count, tile, value: Register("f32", count))
def tile_times(emit: Emit, count: int, tile: Any, value: Any) -> Any:
    """Every vector of a tile times a register."""
    return emit.join([emit.builder.fmul(each, value) for each in emit.split(tile, count)])


@operation(lambda count: Register("i32", count))
def int_tile(emit: Emit, count: int) -> Any:
    """A register of zeros for each vector of codes."""
    return emit.join([emit.ints(0)] * count)


@operation(lambda count, total, codes, numbers: Register("i32", count))
def tile_dot(emit: Emit, count: int, total: Any, codes: Any, numbers: Any) -> Any:
    """total + codes . numbers, four signed bytes in each lane at the first address, and four of
    each vector at the second."""
    whole = emit.load(codes, 0, llvm.INTS)
    sums = []
    for t, before in enumerate(emit.split(total, count)):
        four = emit.same(emit.load(numbers, 4 * t, llvm.INT, 4))
        sums.append(emit.isa.dot_signed(emit.builder, before, whole, four))
    return emit.join(sums)


@operation(lambda count, total, ints, scale, worths: Register("f32", count))
def add_worth(emit: Emit, count: int, total: Any, ints: Any, scale: Any, worths: Any) -> Any:
    """total + ints * scale * what a code of each vector is worth."""
    sums = []
    pairs = zip(emit.split(total, count), emit.split(ints, count), strict=True)
    for t, (before, each) in enumerate(pairs):
        worth = emit.same(emit.load(worths, 4 * t, llvm.FLOAT, 4))
        number = emit.builder.sitofp(each, llvm.FLOATS)
        sums.append(emit.fma(number, emit.builder.fmul(scale, worth), before))
    return emit.join(sums)


@operation(lambda address, step, value, count: types.void)
def put_fours(emit: Emit, address: Any, step: Any, value: Any, count: Any) -> None:
    """Round 16 numbers to bytes and write the first `count` fours of them, `step` bytes apart."""
    builder = emit.builder
    quads = builder.bitcast(narrowed(emit, "i8", value), ir.VectorType(llvm.INT, 4))
    at = emit.integer(address)
    for k in range(4):
        with builder.if_then(builder.icmp_signed("<", llvm.LONG(k), emit.integer(count))):
            emit.store(builder.extract_element(quads, llvm.INT(k)), at, 0)
        at = builder.add(at, emit.integer(step))


@operation(lambda first, second: types.float32)
def largest(emit: Emit, first: Any, second: Any) -> Any:
    """The largest magnitude of 32 numbers; NaN where one of them is."""
    return peak_of(emit, first, second)
