"""4-bit codes of a cache: how they are written, and their products with 8-bit codes of queries.

A byte has two codes, plus 8, so that they are from 0 to 15.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from . import instruction_set as llvm
from .operation import FLOATS, Emit, Register, operation, types

HALVES = 0x0F0F0F0F


@operation(lambda count, address: Register("i32", count))
def int_tile_at(emit: Emit, count: int, address: Any) -> Any:
    """An int32 at an address for each vector, in all lanes of its register."""
    return emit.join([emit.same(emit.load(address, 4 * t, llvm.INT, 4)) for t in range(count)])


@operation(lambda count, total, codes, numbers: Register("i32", count))
def tile_dot_nibbles(emit: Emit, count: int, total: Any, codes: Any, numbers: Any) -> Any:
    """total + codes . numbers: four codes in each lane's low halves times four signed bytes of each
    vector, and those in the high halves times the next four."""
    builder, isa = emit.builder, emit.isa
    both = emit.load(codes, 0, llvm.INTS)
    low = builder.and_(both, emit.ints(HALVES))
    high = builder.and_(builder.lshr(both, emit.ints(4)), emit.ints(HALVES))
    sums = []
    for t, before in enumerate(emit.split(total, count)):
        first = emit.same(emit.load(numbers, 4 * t, llvm.INT, 4))
        second = emit.same(emit.load(numbers, 4 * (count + t), llvm.INT, 4))
        running = isa.begin(builder, before)
        running = isa.dot(builder, running, low, first, 4)
        running = isa.dot(builder, running, high, second, 4)
        sums.append(isa.end(builder, running))
    return emit.join(sums)


@operation(lambda value: FLOATS)
def rounded_nibbles(emit: Emit, value: Any) -> Any:
    """Numbers in units of their scale as codes plus 8, still floats: from 0 to 15; a NaN is 8."""
    whole = emit.call("llvm.nearbyint.v16f32", llvm.FLOATS, [value])
    nan = emit.builder.fcmp_unordered("uno", value, value)
    above = emit.builder.fadd(emit.builder.select(nan, emit.floats(0.0), whole), emit.floats(8.0))
    for sign, bound in (("<", 15.0), (">", 0.0)):
        inside = emit.builder.fcmp_ordered(sign, above, emit.floats(bound))
        above = emit.builder.select(inside, above, emit.floats(bound))
    return above


@operation(lambda address, step, value, count: types.void)
def put_key_nibbles(emit: Emit, address: Any, step: Any, value: Any, count: Any) -> None:
    """Write 16 codes of a key as two units of 4 bytes, or the first `count` of them, `step` bytes
    apart."""
    builder = emit.builder
    quads = builder.bitcast(_bytes(emit, value), ir.VectorType(llvm.INT, 4))
    at = emit.integer(address)
    for unit in range(2):
        low, high = (builder.extract_element(quads, llvm.INT(2 * unit + i)) for i in range(2))
        with builder.if_then(builder.icmp_signed("<", llvm.LONG(unit), emit.integer(count))):
            emit.store(builder.or_(low, builder.shl(high, llvm.INT(4))), at, 0)
        at = builder.add(at, emit.integer(step))


@operation(lambda address, first, second: types.void)
def put_value_nibbles(emit: Emit, address: Any, first: Any, second: Any) -> None:
    """Write 32 codes of a value as 16 bytes, the first 16 in the low halves."""
    low, high = _bytes(emit, first), _bytes(emit, second)
    up = ir.Constant(low.type, [4] * llvm.LANES)
    emit.store(emit.builder.or_(low, emit.builder.shl(high, up)), address, 0)


@operation(lambda value: types.int64)
def code_sum(emit: Emit, value: Any) -> Any:
    """The sum of 16 numbers rounded to whole ones."""
    whole = emit.call("llvm.nearbyint.v16f32", llvm.FLOATS, [value])
    ints = emit.builder.fptosi(whole, llvm.INTS)
    total = emit.call("llvm.vector.reduce.add.v16i32", llvm.INT, [ints])
    return emit.builder.sext(total, llvm.LONG)


def _bytes(emit: Emit, value: Any) -> Any:
    ints = emit.builder.fptosi(value, llvm.INTS)
    return emit.builder.trunc(ints, ir.VectorType(llvm.BYTE, llvm.LANES))
