"""Floats of 8 bits: e4m3, which has no infinity, and e5m2, the upper byte of a half."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from . import float16
from . import instruction_set as llvm
from .operation import Emit


@dataclass(frozen=True)
class Format:
    """A layout of sign, exponent and fraction. fraction: bits. bias: of the exponent. largest: the
    largest finite number. nan: its code."""

    fraction: int
    bias: int
    largest: float
    nan: int


FORMATS = {"e4m3": Format(3, 7, 448.0, 0x7F), "e5m2": Format(2, 15, 57344.0, 0x7E)}


def widened(emit: Emit, kind: str, codes: Any) -> Any:
    """The numbers of 16 codes, INTS below 256, as floats, exactly."""
    return _e4m3(emit, codes) if kind == "e4m3" else _e5m2(emit, codes)


def narrowed(emit: Emit, kind: str, value: Any) -> Any:
    """16 floats as bytes, rounded to nearest, ties to even. Finite numbers beyond the largest
    become that; infinity stays in e5m2, and is NaN in e4m3."""
    builder, form = emit.builder, FORMATS[kind]
    bits = builder.bitcast(value, llvm.INTS)
    size = builder.and_(bits, emit.ints(0x7FFFFFFF))
    most = builder.bitcast(emit.floats(form.largest), llvm.INTS)
    kept = builder.select(builder.icmp_unsigned("<", size, most), size, most)
    # a normal number: rounded by a sum that carries into the exponent
    down = 23 - form.fraction
    odd = builder.and_(builder.lshr(kept, emit.ints(down)), emit.ints(1))
    rounded = builder.add(kept, builder.add(odd, emit.ints((1 << (down - 1)) - 1)))
    normal = builder.sub(
        builder.lshr(rounded, emit.ints(down)), emit.ints((127 - form.bias) << form.fraction)
    )
    # a smaller one: a sum with a float whose last bit is the format's smallest step
    step = 1 - form.bias - form.fraction
    magic = emit.floats(2.0 ** (23 + step))
    sum_ = builder.fadd(builder.bitcast(kept, llvm.FLOATS), magic)
    small = builder.and_(builder.bitcast(sum_, llvm.INTS), emit.ints(0xFF))
    is_small = builder.icmp_unsigned("<", kept, emit.ints((128 - form.bias) << 23))
    code = builder.select(is_small, small, normal)
    odd_code = emit.ints(form.nan)
    if kind == "e5m2":
        infinite = builder.icmp_unsigned("==", size, emit.ints(0x7F800000))
        odd_code = builder.select(infinite, emit.ints(0x7C), odd_code)
    finite = builder.icmp_unsigned("<", size, emit.ints(0x7F800000))
    code = builder.select(finite, code, odd_code)
    sign = builder.and_(builder.lshr(bits, emit.ints(24)), emit.ints(0x80))
    return builder.trunc(builder.or_(code, sign), ir.VectorType(llvm.BYTE, llvm.LANES))


def _e4m3(emit: Emit, code: Any) -> Any:
    """4 bits of exponent, bias 7, no infinity: moved to a float's place they are 2^120 too small,
    subnormal ones as well; all ones is NaN."""
    builder = emit.builder
    magnitude = builder.and_(code, emit.ints(0x7F))
    moved = builder.bitcast(builder.shl(magnitude, emit.ints(20)), llvm.FLOATS)
    scaled = builder.bitcast(builder.fmul(moved, emit.floats(2.0**120)), llvm.INTS)
    nan = builder.icmp_unsigned("==", magnitude, emit.ints(0x7F))
    sign = builder.shl(builder.and_(code, emit.ints(0x80)), emit.ints(24))
    whole = builder.select(nan, emit.ints(0x7FC00000), scaled)
    return builder.bitcast(builder.or_(whole, sign), llvm.FLOATS)


def _e5m2(emit: Emit, code: Any) -> Any:
    """The upper byte of a half."""
    upper = emit.builder.shl(code, emit.ints(8))
    short = ir.VectorType(llvm.HALF, llvm.LANES)
    return float16.widened(emit, emit.builder.trunc(upper, short))
