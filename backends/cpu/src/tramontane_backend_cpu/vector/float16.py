"""Half precision by integers, for processors that cannot convert it (IEEE 754 binary16).

A half's bits, moved to where a float has its own, are a float that is 2^112 too small, and the
multiplication that mends it takes care of subnormal numbers. The other way, adding half a unit and
the last bit's oddness rounds to nearest, ties to even; for subnormal halves the addition of 0.5
does, whose last bit is theirs.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from . import instruction_set as llvm
from .operation import Emit

SHIFT = 13
"""Bits that a float's fraction has more."""
INFINITE = 0x7F800000
TOO_LARGE = 0x477FF000
"""The first float that rounds to infinity: 65520."""
NORMAL = 0x38800000
"""2^-14, the smallest normal half."""


def as_floats(emit: Emit, value: Any) -> Any:
    """16 x i16 to floats, by an instruction where there is one."""
    if not emit.isa.halves:
        return widened(emit, value)
    halves = emit.builder.bitcast(value, ir.VectorType(ir.HalfType(), llvm.LANES))
    return emit.builder.fpext(halves, llvm.FLOATS)


def widened(emit: Emit, value: Any) -> Any:
    """16 x i16 to floats."""
    builder = emit.builder
    bits = builder.zext(value, llvm.INTS)
    magnitude = builder.and_(bits, emit.ints(0x7FFF))
    moved = builder.bitcast(builder.shl(magnitude, emit.ints(SHIFT)), llvm.FLOATS)
    scaled = builder.bitcast(builder.fmul(moved, emit.floats(2.0**112)), llvm.INTS)
    special = builder.icmp_unsigned(">=", magnitude, emit.ints(0x7C00))
    kept = builder.or_(builder.shl(magnitude, emit.ints(SHIFT)), emit.ints(INFINITE))
    sign = builder.shl(builder.and_(bits, emit.ints(0x8000)), emit.ints(16))
    return builder.bitcast(builder.or_(builder.select(special, kept, scaled), sign), llvm.FLOATS)


def narrowed(emit: Emit, value: Any) -> Any:
    """Floats to 16 x i16."""
    builder = emit.builder
    bits = builder.bitcast(value, llvm.INTS)
    sign = builder.lshr(builder.and_(bits, emit.ints(-0x80000000)), emit.ints(16))
    magnitude = builder.and_(bits, emit.ints(0x7FFFFFFF))
    odd = builder.and_(builder.lshr(magnitude, emit.ints(SHIFT)), emit.ints(1))
    near = builder.add(builder.add(magnitude, emit.ints((15 - 127) * (1 << 23) + 0xFFF)), odd)
    normal = builder.lshr(near, emit.ints(SHIFT))
    half = emit.floats(0.5)
    small = builder.fadd(builder.bitcast(magnitude, llvm.FLOATS), half)
    subnormal = builder.sub(builder.bitcast(small, llvm.INTS), emit.ints(0x3F000000))
    large = builder.icmp_unsigned(">=", magnitude, emit.ints(TOO_LARGE))
    nan = builder.icmp_unsigned(">", magnitude, emit.ints(INFINITE))
    beyond = builder.select(nan, emit.ints(0x7E00), emit.ints(0x7C00))
    tiny = builder.icmp_unsigned("<", magnitude, emit.ints(NORMAL))
    finite = builder.select(tiny, subnormal, normal)
    whole = builder.or_(builder.select(large, beyond, finite), sign)
    return builder.trunc(whole, ir.VectorType(llvm.HALF, llvm.LANES))
