"""Vectors written into the units of a tile, as `tiles.py` describes them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from . import instruction_set as llvm
from .operation import FLOATS, Emit, operation, types


@operation(lambda size, tile, place, first, second: types.void)
def put_quantized(emit: Emit, size: Any, tile: Any, place: Any, first: Any, second: Any) -> None:
    """Quantize 32 numbers to 8 bits and write them into a unit, as vector `place` of `size`.

    A code is worth the largest magnitude / 127. NaN among the numbers makes that NaN, and so
    every product.
    """
    builder = emit.builder
    inverse, worth = _code_worth(emit, first, second)
    count = emit.integer(size)

    def address(unit_bytes: int, extra: Any) -> Any:
        return builder.add(
            emit.integer(tile), builder.add(builder.mul(count, llvm.LONG(unit_bytes)), extra)
        )

    mine = builder.mul(emit.integer(place), llvm.LONG(4))
    emit.store(worth, address(32, mine), 0, 4)
    sums = []
    for half, numbers in enumerate((first, second)):
        scaled = builder.fmul(numbers, emit.same(inverse))
        rounded = emit.call("llvm.nearbyint.v16f32", llvm.FLOATS, [scaled])
        codes = builder.fptosi(rounded, llvm.INTS)
        bytes_ = builder.trunc(codes, ir.VectorType(llvm.BYTE, llvm.LANES))
        quads = builder.bitcast(bytes_, ir.VectorType(llvm.INT, 4))
        for k in range(4):
            quad = builder.extract_element(quads, llvm.INT(k))
            emit.store(quad, address(4 * (4 * half + k), mine), 0, 4)
        total = emit.call("llvm.vector.reduce.add.v16i32", llvm.INT, [codes])
        sums.append(total)
        emit.store(builder.neg(total), address(40 + 4 * half, mine), 0, 4)
        part = builder.fmul(builder.sitofp(total, llvm.FLOAT), worth)
        emit.store(part, address(52 + 4 * half, mine), 0, 4)
    both = builder.add(*sums)
    emit.store(builder.neg(both), address(36, mine), 0, 4)
    emit.store(builder.fmul(builder.sitofp(both, llvm.FLOAT), worth), address(48, mine), 0, 4)


@operation(lambda size, tile, place, first, second: types.void)
def put_plain(emit: Emit, size: Any, tile: Any, place: Any, first: Any, second: Any) -> None:
    """Write 32 numbers into a plain unit, as vector `place` of `size`."""
    builder = emit.builder
    step = builder.mul(emit.integer(size), llvm.LONG(4))
    at = builder.add(emit.integer(tile), builder.mul(emit.integer(place), llvm.LONG(4)))
    for numbers in (first, second):
        for lane in range(llvm.LANES):
            emit.store(builder.extract_element(numbers, llvm.INT(lane)), at, 0, 4)
            at = builder.add(at, step)


@operation(lambda size, tile, place, first, second, weight, other: FLOATS)
def put_codes(
    emit: Emit, size: Any, tile: Any, place: Any, first: Any, second: Any, weight: Any, other: Any
) -> Any:  # fmt: skip
    """Write 32 numbers into a unit as `put_quantized`, without the sums of its halves and of the
    numbers. Returns the rounded numbers: first * weight + second * other."""
    builder = emit.builder
    inverse, worth = _code_worth(emit, first, second)
    count, start = emit.integer(size), emit.integer(tile)
    mine = builder.mul(emit.integer(place), llvm.LONG(4))

    def address(unit_bytes: int) -> Any:
        return builder.add(start, builder.add(builder.mul(count, llvm.LONG(unit_bytes)), mine))

    emit.store(worth, address(32), 0, 4)
    rounded = [
        emit.call("llvm.nearbyint.v16f32", llvm.FLOATS, [builder.fmul(x, emit.same(inverse))])
        for x in (first, second)
    ]
    codes = [builder.fptosi(each, llvm.INTS) for each in rounded]
    bytes_ = [builder.trunc(each, ir.VectorType(llvm.BYTE, llvm.LANES)) for each in codes]
    alone = builder.icmp_signed("==", count, llvm.LONG(1))
    with builder.if_else(alone) as (then, otherwise):
        with then:
            for half, each in enumerate(bytes_):
                emit.store(each, start, 16 * half)
        with otherwise:
            for half, each in enumerate(bytes_):
                quads = builder.bitcast(each, ir.VectorType(llvm.INT, 4))
                for k in range(4):
                    quad = builder.extract_element(quads, llvm.INT(k))
                    emit.store(quad, address(4 * (4 * half + k)), 0, 4)
    if emit.isa.signed:  # products of 8-bit codes need it
        both = builder.add(*codes)
        total = emit.call("llvm.vector.reduce.add.v16i32", llvm.INT, [both])
        emit.store(builder.neg(total), address(36), 0, 4)
    parts = [
        builder.fmul(builder.fmul(each, emit.same(worth)), by)
        for each, by in zip(rounded, (weight, other), strict=True)
    ]
    return builder.fadd(*parts)


def _code_worth(emit: Emit, first: Any, second: Any) -> tuple[Any, Any]:
    """By what 32 numbers are multiplied to become codes, and what a code is worth."""
    builder = emit.builder
    peak = peak_of(emit, first, second)
    some = builder.fcmp_ordered(">", peak, llvm.FLOAT(0.0))
    inverse = builder.select(some, builder.fdiv(llvm.FLOAT(127.0), peak), llvm.FLOAT(0.0))
    return inverse, builder.fmul(peak, llvm.FLOAT(1 / 127))


def peak_of(emit: Emit, first: Any, second: Any) -> Any:
    """The largest magnitude of 32 numbers; as integers, NaN are above all."""
    builder = emit.builder

    def bits(value: Any) -> Any:
        return builder.and_(builder.bitcast(value, llvm.INTS), emit.ints(0x7FFFFFFF))

    both = emit.call("llvm.umax.v16i32", llvm.INTS, [bits(first), bits(second)])
    most = emit.call("llvm.vector.reduce.umax.v16i32", llvm.INT, [both])
    return builder.bitcast(most, llvm.FLOAT)
