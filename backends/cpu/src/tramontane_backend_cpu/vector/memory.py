"""Between memory and registers. An address is an integer; nothing is checked."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from . import float8, float16
from . import instruction_set as llvm
from .arithmetic import masked
from .operation import FLOATS, Emit, operation, types

SIZES = {
    "f32": 4, "f16": 2, "bf16": 2, "i8": 1, "u8": 1, "e8m0": 1, "e4m3": 1, "e5m2": 1, "low4": 1,
    "high4": 1,
}  # fmt: skip
"""Kinds of numbers, and the bytes of one. low4, high4: whole numbers in half a byte, two of which
may share one."""
STORED = {
    "f32": llvm.FLOAT, "f16": llvm.HALF, "bf16": llvm.HALF, "i8": llvm.BYTE, "u8": llvm.BYTE,
    "e8m0": llvm.BYTE, "e4m3": llvm.BYTE, "e5m2": llvm.BYTE, "low4": llvm.BYTE, "high4": llvm.BYTE,
}  # fmt: skip


@operation(lambda kind, address: FLOATS)
def load(emit: Emit, kind: str, address: Any) -> Any:
    """16 numbers of a kind, as floats."""
    return widened(emit, kind, emit.load(address, 0, ir.VectorType(STORED[kind], llvm.LANES)))


@operation(lambda kind, address, count: FLOATS)
def load_some(emit: Emit, kind: str, address: Any, count: Any) -> Any:
    """The first `count` of 16 numbers, zero for the others, which are not read."""
    return load_masked(emit, kind, emit.at(address, 0, llvm.BYTE), count)


@operation(lambda kind, address, value: types.void)
def store(emit: Emit, kind: str, address: Any, value: Any) -> None:
    """16 floats, rounded to a kind."""
    emit.store(narrowed(emit, kind, value), address, 0)


@operation(lambda kind, address, value, count: types.void)
def store_some(emit: Emit, kind: str, address: Any, value: Any, count: Any) -> None:
    """The first `count` of 16 floats."""
    stored = narrowed(emit, kind, value)
    pointer = emit.at(address, 0, stored.type)
    name = f"llvm.masked.store.v16{_short(kind)}.p0"
    _masked_call(emit, name, ir.VoidType(), [stored, pointer, masked(emit, count)])


@operation(lambda kind, address: types.float32)
def number(emit: Emit, kind: str, address: Any) -> Any:
    """One number of a kind, as a float."""
    value = emit.load(address, 0, STORED[kind])
    vector = ir.VectorType(STORED[kind], llvm.LANES)
    first = emit.builder.insert_element(ir.Constant(vector, None), value, llvm.INT(0))
    return emit.builder.extract_element(widened(emit, kind, first), llvm.INT(0))


@operation(lambda kind, address, value: types.void)
def put(emit: Emit, kind: str, address: Any, value: Any) -> None:
    """One float, rounded to a kind."""
    emit.store(
        emit.builder.extract_element(narrowed(emit, kind, emit.same(value)), llvm.INT(0)),
        address,
        0,
    )


@operation(lambda address: types.int64)
def word(emit: Emit, address: Any) -> Any:
    """One 64-bit integer."""
    return emit.load(address, 0, llvm.LONG, 8)


@operation(lambda address: types.int64)
def short_word(emit: Emit, address: Any) -> Any:
    """One 32-bit integer."""
    return emit.builder.sext(emit.load(address, 0, llvm.INT, 4), llvm.LONG)


@operation(lambda address: types.int64)
def byte(emit: Emit, address: Any) -> Any:
    """One unsigned byte."""
    return emit.builder.zext(emit.load(address, 0, llvm.BYTE), llvm.LONG)


@operation(lambda address, value: types.void)
def put_short_word(emit: Emit, address: Any, value: Any) -> None:
    emit.store(emit.builder.trunc(emit.integer(value), llvm.INT), address, 0, 4)


@operation(lambda address, value: types.void)
def put_word(emit: Emit, address: Any, value: Any) -> None:
    emit.store(emit.integer(value), address, 0, 8)


@operation(lambda address, value: types.void)
def put_byte(emit: Emit, address: Any, value: Any) -> None:
    emit.store(emit.builder.trunc(emit.integer(value), llvm.BYTE), address, 0)


@operation(lambda address, count: types.UniTuple(types.int64, count))
def words(emit: Emit, address: Any, count: int) -> Any:
    """`count` 64-bit integers: what a kernel's arguments are."""
    values = [emit.load(address, 8 * i, llvm.LONG, 8) for i in range(count)]
    tuple_type = types.UniTuple(types.int64, count)
    return emit.context.make_tuple(emit.builder, tuple_type, values)


def load_masked(emit: Emit, kind: str, pointer: Any, count: Any) -> Any:
    """What `load_some` emits."""
    vector = ir.VectorType(STORED[kind], llvm.LANES)
    name = f"llvm.masked.load.v16{_short(kind)}.p0"
    arguments = [pointer, masked(emit, count), ir.Constant(vector, None)]
    return widened(emit, kind, _masked_call(emit, name, vector, arguments))


def store_masked(emit: Emit, address: Any, value: Any, count: Any) -> None:
    """Write the first `count` of 16 floats."""
    told = [value, emit.at(address, 0, llvm.FLOATS), masked(emit, count)]
    _masked_call(emit, "llvm.masked.store.v16f32.p0", ir.VoidType(), told)


def widened(emit: Emit, kind: str, value: Any) -> Any:
    """A loaded vector as floats."""
    builder = emit.builder
    if kind == "f32":
        return value
    if kind == "f16":
        if not emit.isa.halves:
            return float16.widened(emit, value)
        kind_of_llvm = ir.VectorType(ir.HalfType(), llvm.LANES)
        return builder.fpext(builder.bitcast(value, kind_of_llvm), llvm.FLOATS)
    if kind == "bf16":
        upper = builder.shl(builder.zext(value, llvm.INTS), emit.ints(16))
        return builder.bitcast(upper, llvm.FLOATS)
    if kind == "e8m0":  # 2^(byte - 127); 255 is NaN
        byte_ = builder.zext(value, llvm.INTS)
        small = builder.icmp_unsigned("==", byte_, emit.ints(0))
        power = builder.select(small, emit.ints(0x400000), builder.shl(byte_, emit.ints(23)))
        nan = builder.icmp_unsigned("==", byte_, emit.ints(255))
        return builder.bitcast(builder.select(nan, emit.ints(0x7FC00000), power), llvm.FLOATS)
    if kind in float8.FORMATS:
        return float8.widened(emit, kind, builder.zext(value, llvm.INTS))
    wide = builder.sext(value, llvm.INTS) if kind == "i8" else builder.zext(value, llvm.INTS)
    if kind == "low4":
        wide = builder.and_(wide, emit.ints(15))
    elif kind == "high4":
        wide = builder.lshr(wide, emit.ints(4))
    return builder.sitofp(wide, llvm.FLOATS)


def narrowed(emit: Emit, kind: str, value: Any) -> Any:
    """Floats as they are stored, rounded to nearest, ties to even."""
    builder = emit.builder
    if kind == "f32":
        return value
    if kind == "f16":
        if not emit.isa.halves:
            return float16.narrowed(emit, value)
        rounded = builder.fptrunc(value, ir.VectorType(ir.HalfType(), llvm.LANES))
        return builder.bitcast(rounded, ir.VectorType(llvm.HALF, llvm.LANES))
    if kind == "bf16":
        bits = builder.bitcast(value, llvm.INTS)
        odd = builder.and_(builder.lshr(bits, emit.ints(16)), emit.ints(1))
        rounded = builder.add(bits, builder.add(odd, emit.ints(0x7FFF)))
        # a NaN must not be rounded up to infinity or beyond
        quiet = builder.or_(bits, emit.ints(0x400000))
        nan = builder.fcmp_unordered("uno", value, value)
        upper = builder.lshr(builder.select(nan, quiet, rounded), emit.ints(16))
        return builder.trunc(upper, ir.VectorType(llvm.HALF, llvm.LANES))
    if kind in float8.FORMATS:
        return float8.narrowed(emit, kind, value)
    whole = emit.call("llvm.nearbyint.v16f32", llvm.FLOATS, [value])
    ints = builder.fptosi(whole, llvm.INTS)
    return builder.trunc(ints, ir.VectorType(llvm.BYTE, llvm.LANES))


def _short(kind: str) -> str:
    return {"f32": "f32", "f16": "i16", "bf16": "i16"}.get(kind, "i8")


def _masked_call(emit: Emit, name: str, result: Any, arguments: list[Any]) -> Any:
    # pointers are typed in llvmlite and not in LLVM: one declaration serves
    opaque = [
        emit.builder.bitcast(value, llvm.BYTE.as_pointer())
        if isinstance(value.type, ir.PointerType) else value
        for value in arguments
    ]  # fmt: skip
    return emit.call(name, result, opaque)


@operation(lambda address, size: types.void)
def prefetch(emit: Emit, address: Any, size: int) -> None:
    """Ask for `size` bytes that will be wanted soon, in the second-level cache."""
    for offset in range(0, size, 64):
        told = [emit.at(address, offset, llvm.BYTE), llvm.INT(0), llvm.INT(2), llvm.INT(1)]
        emit.call("llvm.prefetch.p0", ir.VoidType(), told)
