"""8-bit floats, put together with integer instructions and one product.

Moved to the place of a float's exponent and fraction, an 8-bit float's are a power of two too
small, subnormal ones as well, and the product mends that.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cache
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
FLOATS8 = tuple(FORMATS)


def widened(emit: Emit, kind: str, codes: Any, byte: int) -> Any:
    """The numbers in one of the four bytes of each lane of INTS, as floats."""
    found = emit.isa.floats8(emit.builder, _uppers(kind), codes, byte)
    if found is not None:
        return found
    return _e4m3(emit, codes, byte) if kind == "e4m3" else _e5m2(emit, codes, byte)


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


@cache
def _uppers(kind: str) -> list[int]:
    """Upper halves of the floats of the codes from 0 to 127; the lower ones are 0."""
    fraction = 3 if kind == "e4m3" else 2
    bias = (1 << (6 - fraction)) - 1
    numbers = []
    for code in range(128):
        exponent, part = code >> fraction, code & ((1 << fraction) - 1)
        size = 2.0 ** (max(exponent, 1) - bias - fraction)
        numbers.append(size * (part + ((1 << fraction) if exponent else 0)))
    if kind == "e4m3":
        numbers[127] = math.nan
    else:
        numbers[124:] = [math.inf, math.nan, math.nan, math.nan]
    return [struct.unpack("<I", struct.pack("<f", number))[0] >> 16 for number in numbers]


def _e4m3(emit: Emit, codes: Any, byte: int) -> Any:
    """4 bits of exponent, bias 7, no infinity: 2^120 too small; all ones is NaN."""
    builder = emit.builder
    first = builder.shl(codes, emit.ints(24 - 8 * byte)) if byte < 3 else codes
    # the sign stays where it is, and what else moves with it is cut off
    moved = builder.and_(builder.ashr(first, emit.ints(4)), emit.ints(0x87F00000 - (1 << 32)))
    scaled = builder.fmul(builder.bitcast(moved, llvm.FLOATS), emit.floats(2.0**120))
    magnitude = builder.and_(moved, emit.ints(0x07F00000))
    nan = builder.icmp_unsigned("==", magnitude, emit.ints(0x07F00000))
    return builder.select(nan, emit.floats(float("nan")), scaled)


def _e5m2(emit: Emit, codes: Any, byte: int) -> Any:
    """The upper byte of a half."""
    builder = emit.builder
    shift = 8 * byte - 8
    upper = builder.shl(codes, emit.ints(8)) if shift < 0 else codes
    upper = builder.lshr(upper, emit.ints(shift)) if shift > 0 else upper
    upper = builder.and_(upper, emit.ints(0xFF00))
    short = ir.VectorType(llvm.HALF, llvm.LANES)
    return float16.as_floats(emit, builder.trunc(upper, short))
