"""What codes stand for where that is not a number of their own: tables of 16, and 8-bit floats.

`values` of a packing says which: "" for affine codes, "e4m3" or "e5m2", or the table's numbers as
Python writes a tuple. A table of small multiples of a power of two is one of bytes, and multiplies
as such; other values are put together as floats.
"""

from __future__ import annotations

import math
import struct
from ast import literal_eval
from typing import Any

from . import float8
from . import instruction_set as llvm
from .operation import Emit, operation, types

BYTE_ZERO = 128
"""The byte that means 0 in a table of bytes."""
FLOATS8 = ("e4m3", "e5m2")


def table_of(values: str) -> tuple[float, ...]:
    """The numbers of a table of 16."""
    table: tuple[float, ...] = literal_eval(values)
    return table


def bytes_of(values: str) -> tuple[tuple[int, ...], float] | None:
    """A table as signed bytes and what their unit is worth; None where they cannot be that."""
    if not values or values in FLOATS8:
        return None
    table = table_of(values)
    for power in range(8):
        scaled = [number * 2**power for number in table]
        if all(math.isfinite(s) and s == int(s) and -128 <= s <= 127 for s in scaled):
            return tuple(int(s) for s in scaled), 2.0**-power
    return None


def byte_codes(emit: Emit, table: tuple[int, ...], codes: Any) -> Any:
    """Signed bytes that codes below 16 stand for, plus 128; 16 x 4 bytes as INTS."""
    return emit.isa.pick_bytes(emit.builder, [number + BYTE_ZERO for number in table], codes)


def code_floats(emit: Emit, values: str, codes: Any, byte: int) -> Any:
    """What the codes in one of the four bytes of each lane stand for, exactly."""
    builder = emit.builder
    if values in FLOATS8:
        code = _byte(emit, codes, byte)
        return float8.widened(emit, values, code)
    words = [struct.pack("<f", number) for number in table_of(values)]
    total = None
    for index in range(4):
        picked = emit.isa.pick_bytes(builder, [word[index] for word in words], codes)
        part = builder.shl(_byte(emit, picked, byte), emit.ints(8 * index))
        total = part if total is None else builder.or_(total, part)
    return builder.bitcast(total, llvm.FLOATS)


@operation(lambda values, code: types.float32)
def code_float(emit: Emit, values: str, code: Any) -> Any:
    """What one code stands for."""
    lanes = emit.same(emit.builder.trunc(emit.integer(code), llvm.INT))
    return emit.builder.extract_element(code_floats(emit, values, lanes, 0), llvm.INT(0))


def _byte(emit: Emit, codes: Any, byte: int) -> Any:
    return emit.builder.and_(emit.builder.lshr(codes, emit.ints(8 * byte)), emit.ints(0xFF))
