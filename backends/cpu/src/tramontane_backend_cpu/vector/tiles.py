"""Products of packed weights with a tile of vectors.

A tile is some vectors of numbers that are multiplied together, so that weights are loaded and
unpacked once for all of them. Weights come in blocks of 16 rows or a few times as many, a register
for each 16, and in units of 32 columns: lane r of a register holds four codes of row r, and nothing
is ever summed across lanes. The order of a vector's sums does not depend on the tile that it is in.

A unit of a tile of T quantized vectors, 64 T bytes:

    bytes      numbers
    0..32T     8 x T x 4 int8, the codes of columns 4k..4k+3 of each vector
    32T        T float32, what a code is worth
    36T        T int32, minus the sum of the 32 codes
    40T        2 x T int32, minus the sums of the first and the last 16
    48T        T float32, the sum of the 32 numbers
    52T        2 x T float32, the sums of the first and the last 16
    60T        nothing

A unit of a tile of T plain vectors, 128 T bytes: 32 x T float32.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from tramontane.bit_planes import PLANES

from . import instruction_set as llvm
from .memory import SIZES, STORED, load_masked, widened
from .operation import Emit, Register, operation, types
from .tables import BYTE_ZERO, byte_codes, bytes_of, code_floats
from .target import SET

UNIT = 32
ROWS = llvm.LANES * SET.registers
"""Of a block."""
UNIT_BYTES = 64
PLAIN_UNIT_BYTES = 128


@operation(lambda count: Register("f32", SET.registers * count))
def zero_tile(emit: Emit, count: int) -> Any:
    """The sums that a tile of a block begins with."""
    return emit.join([emit.floats(0.0)] * (SET.registers * count))


@operation(lambda count, address, rows: Register("f32", SET.registers * count))
def bias_tile(emit: Emit, count: int, address: Any, rows: Any) -> Any:
    """The same with the first `rows` numbers at an address, one for each row."""
    sums = []
    for register in range(SET.registers):
        left = emit.builder.sub(emit.integer(rows), llvm.LONG(llvm.LANES * register))
        numbers = load_masked(emit, "f32", emit.at(address, 64 * register, llvm.FLOATS), left)
        sums += [numbers] * count
    return emit.join(sums)


@operation(lambda kind, address: Register("f32", SET.registers))
def load_block(emit: Emit, kind: str, address: Any) -> Any:
    """A number for each row of a block."""
    stored = ir.VectorType(STORED[kind], llvm.LANES)
    size = llvm.LANES * SIZES[kind]
    return emit.join(
        [widened(emit, kind, emit.load(address, size * i, stored)) for i in range(SET.registers)]
    )


@operation(lambda a, b: a)
def block_product(emit: Emit, a: Any, b: Any) -> Any:
    """Row by row."""
    pairs = zip(emit.split(a, SET.registers), emit.split(b, SET.registers), strict=True)
    return emit.join([emit.builder.fmul(x, y) for x, y in pairs])


@operation(lambda a, number: a)
def block_times(emit: Emit, a: Any, number: Any) -> Any:
    """Every row's number times one."""
    same = emit.same(number)
    return emit.join([emit.builder.fmul(x, same) for x in emit.split(a, SET.registers)])


@operation(lambda count, bits, zero, values, first, last, low, high, tile: Register(
    "i32", SET.registers * count
))  # fmt: skip
def code_dot(
    emit: Emit,
    count: int,
    bits: int,
    zero: int,
    values: str,
    first: int,
    last: int,
    low: Any,
    high: Any,
    tile: Any,
) -> Any:
    """(codes - zero) . quantized numbers, in columns 4 first .. 4 last of a unit.

    low, high: addresses of the unit's first and second bit plane. tile: address of its unit.
    values: see `vector/tables.py`; codes of a table stand for its bytes.
    """
    table = bytes_of(values)
    width = bits if table is None else 8
    signed = emit.isa.signed and width == 8
    if signed:
        zero -= BYTE_ZERO
    part = 0 if last - first == UNIT // 4 else 1 + (first > 0)
    begin = []
    for t in range(count):
        value = emit.ints(0)
        if zero:
            offset = (36, 40, 44)[part] * count + 4 * t
            sums = emit.same(emit.load(tile, offset, llvm.INT, 4))
            value = emit.builder.mul(sums, emit.ints(zero))
        begin.append(emit.isa.begin(emit.builder, value))
    totals = begin * SET.registers
    for k in range(first, last):
        blocks = [_codes(emit, bits, low, high, k, register) for register in range(SET.registers)]
        if table is not None:
            blocks = [byte_codes(emit, table[0], codes) for codes in blocks]
        if signed:
            less = emit.ints(0x80808080 - (1 << 32))
            blocks = [emit.builder.xor(codes, less) for codes in blocks]
        for t in range(count):
            numbers = emit.same(emit.load(tile, 4 * (k * count + t), llvm.INT, 4))
            for register, codes in enumerate(blocks):
                at = register * count + t
                totals[at] = emit.isa.dot(emit.builder, totals[at], codes, numbers, width)
    return emit.join([emit.isa.end(emit.builder, total) for total in totals])


@operation(lambda count, total, ints, scale, tile: total)
def add_scaled(emit: Emit, count: int, total: Any, ints: Any, scale: Any, tile: Any) -> Any:
    """total + ints * scale * what a vector's code is worth."""
    before = emit.split(total, SET.registers * count)
    whole = emit.split(ints, SET.registers * count)
    scales = emit.split(scale, SET.registers)
    sums = list(before)
    for t in range(count):
        worth = emit.same(emit.load(tile, 32 * count + 4 * t, llvm.FLOAT, 4))
        for register, rows in enumerate(scales):
            at = register * count + t
            factor = emit.builder.fmul(rows, worth)
            sums[at] = emit.fma(emit.builder.sitofp(whole[at], llvm.FLOATS), factor, before[at])
    return emit.join(sums)


@operation(lambda count, total, ints, scale, others, other_scale, tile: total)
def add_two_scaled(
    emit: Emit, count: int, total: Any, ints: Any, scale: Any, others: Any, other_scale: Any,
    tile: Any,
) -> Any:  # fmt: skip
    """total + (ints * scale + others * other_scale) * what a vector's code is worth."""
    sums = emit.split(total, SET.registers * count)
    first, second = (emit.split(each, SET.registers * count) for each in (ints, others))
    scales = [emit.split(each, SET.registers) for each in (scale, other_scale)]
    for t in range(count):
        worth = emit.same(emit.load(tile, 32 * count + 4 * t, llvm.FLOAT, 4))
        for register, (mine, other) in enumerate(zip(*scales, strict=True)):
            at = register * count + t
            a, b = (emit.builder.sitofp(each[at], llvm.FLOATS) for each in (first, second))
            both = emit.fma(b, other, emit.builder.fmul(a, mine))
            sums[at] = emit.fma(both, worth, sums[at])
    return emit.join(sums)


@operation(lambda count, total, minimum, part, tile: total)
def add_minimum(emit: Emit, count: int, total: Any, minimum: Any, part: int, tile: Any) -> Any:
    """total + minimum * sum of numbers; part 0: of the unit, 1 and 2: of its halves."""
    sums = emit.split(total, SET.registers * count)
    for t in range(count):
        number = emit.same(emit.load(tile, (48, 52, 56)[part] * count + 4 * t, llvm.FLOAT, 4))
        for register, rows in enumerate(emit.split(minimum, SET.registers)):
            at = register * count + t
            sums[at] = emit.fma(rows, number, sums[at])
    return emit.join(sums)


@operation(
    lambda count, bits, zero, values, offset, first, last, total, low, high, scale, minimum,
    tile: total
)  # fmt: skip
def plain_dot(
    emit: Emit, count: int, bits: int, zero: int, values: str, offset: str, first: int,
    last: int, total: Any, low: Any, high: Any, scale: Any, minimum: Any, tile: Any,
) -> Any:  # fmt: skip
    """total + weights . numbers, both as floats. offset: what `minimum` is: "" for nothing,
    "minimum", or the "zero" of these codes."""
    builder, table = emit.builder, bytes_of(values)
    sums = emit.split(total, SET.registers * count)
    scales, offsets = (emit.split(each, SET.registers) for each in (scale, minimum))
    for k in range(first, last):
        for register, rows in enumerate(scales):
            codes = _codes(emit, bits, low, high, k, register)
            if table is not None:
                codes = byte_codes(emit, table[0], codes)
            for byte in range(4):
                if values and table is None:
                    number = code_floats(emit, values, codes, byte)
                else:
                    code = builder.and_(builder.lshr(codes, emit.ints(8 * byte)), emit.ints(0xFF))
                    if zero:
                        code = builder.sub(code, emit.ints(zero))
                    number = builder.sitofp(code, llvm.FLOATS)
                if offset == "zero":
                    number = builder.fsub(number, offsets[register])
                weight = builder.fmul(number, rows)
                if offset == "minimum":
                    weight = builder.fadd(weight, offsets[register])
                for t in range(count):
                    at = 4 * ((4 * k + byte) * count + t)
                    number = emit.same(emit.load(tile, at, llvm.FLOAT, 4))
                    place = register * count + t
                    sums[place] = emit.fma(weight, number, sums[place])
    return emit.join(sums)


@operation(lambda count, bits, values, first, last, low, high, tile: Register(
    "f32", SET.registers * count
))  # fmt: skip
def table_dot(
    emit: Emit, count: int, bits: int, values: str, first: int, last: int, low: Any, high: Any,
    tile: Any,
) -> Any:  # fmt: skip
    """A table's numbers . numbers, both as floats, in columns 4 first .. 4 last of a unit. Two sums
    take turns, as an addition waits for the one before it."""
    parts: list[list[Any]] = [[None, None] for _ in range(SET.registers * count)]
    for k in range(first, last):
        for register in range(SET.registers):
            codes = _codes(emit, bits, low, high, k, register)
            for byte in range(4):
                weight = code_floats(emit, values, codes, byte)
                for t in range(count):
                    at = 4 * ((4 * k + byte) * count + t)
                    number = emit.same(emit.load(tile, at, llvm.FLOAT, 4))
                    pair = parts[register * count + t]
                    before = pair[byte % 2]
                    pair[byte % 2] = (
                        emit.builder.fmul(weight, number) if before is None
                        else emit.fma(weight, number, before)
                    )  # fmt: skip
    return emit.join([emit.builder.fadd(*pair) for pair in parts])


@operation(lambda count, total, sums, scale: total)
def add_times(emit: Emit, count: int, total: Any, sums: Any, scale: Any) -> Any:
    """total + sums * scale."""
    before = emit.split(total, SET.registers * count)
    added = emit.split(sums, SET.registers * count)
    scales = [rows for rows in emit.split(scale, SET.registers) for _ in range(count)]
    parts = zip(added, scales, before, strict=True)
    return emit.join([emit.fma(*each) for each in parts])


@operation(lambda scale, zero: scale)
def block_offset(emit: Emit, scale: Any, zero: Any) -> Any:
    """-scale * zero, row by row."""
    pairs = zip(emit.split(scale, SET.registers), emit.split(zero, SET.registers), strict=True)
    return emit.join([emit.builder.fneg(emit.builder.fmul(x, y)) for x, y in pairs])


@operation(lambda count, total, rows, valid, out, stride, add: types.void)
def store_tile(
    emit: Emit, count: int, total: Any, rows: Any, valid: Any, out: Any, stride: Any, add: Any
) -> None:
    """Write the first `rows` of a block for the first `valid` vectors, `stride` bytes apart, or add
    them to what is there if `add` is not 0."""
    builder = emit.builder
    whole = builder.icmp_signed("==", emit.integer(rows), llvm.LONG(llvm.LANES * SET.registers))
    adds = builder.icmp_signed("!=", emit.integer(add), llvm.LONG(0))
    sums = emit.split(total, SET.registers * count)
    for t in range(count):
        wanted = builder.icmp_signed("<", llvm.LONG(t), emit.integer(valid))
        address = builder.add(emit.integer(out), builder.mul(emit.integer(stride), llvm.LONG(t)))
        with builder.if_then(wanted), builder.if_else(whole) as (then, otherwise):
            with then:
                for register in range(SET.registers):
                    at = builder.add(address, llvm.LONG(64 * register))
                    _store_whole(emit, sums[register * count + t], at, adds)
            with otherwise:
                for register in range(SET.registers):
                    at = builder.add(address, llvm.LONG(64 * register))
                    left = builder.sub(emit.integer(rows), llvm.LONG(llvm.LANES * register))
                    _store_lanes(emit, sums[register * count + t], at, adds, left)


def _store_whole(emit: Emit, value: Any, address: Any, adds: Any) -> None:
    with emit.builder.if_else(adds) as (then, otherwise):
        with then:
            before = emit.load(address, 0, llvm.FLOATS, 4)
            emit.store(emit.builder.fadd(before, value), address, 0, 4)
        with otherwise:
            emit.store(value, address, 0, 4)


def _store_lanes(emit: Emit, value: Any, address: Any, adds: Any, rows: Any) -> None:
    builder = emit.builder
    for lane in range(llvm.LANES):
        with builder.if_then(builder.icmp_signed("<", llvm.LONG(lane), emit.integer(rows))):
            number = builder.extract_element(value, llvm.INT(lane))
            pointer = emit.at(address, 4 * lane, llvm.FLOAT)
            before = builder.select(adds, builder.load(pointer), llvm.FLOAT(-0.0))
            builder.store(builder.fadd(before, number), pointer)


def _codes(emit: Emit, bits: int, low: Any, high: Any, k: int, register: int) -> Any:
    """Codes 4k..4k+3 of 16 of a unit's rows, a byte each."""
    widths = PLANES[bits]
    codes = _plane(emit, widths[0], low, k, register, 0)
    if len(widths) == 2:
        codes = emit.builder.or_(codes, _plane(emit, widths[1], high, k, register, widths[0]))
    return codes


def _plane(emit: Emit, width: int, address: Any, k: int, register: int, up: int) -> Any:
    """One plane's part of the codes, shifted up to its place."""
    per_load = 8 // width
    offset = 64 * (SET.registers * (k // per_load) + register)
    value = emit.load(address, offset, llvm.INTS)
    shift = width * (k % per_load) - up
    if shift > 0:
        value = emit.builder.lshr(value, emit.ints(shift))
    elif shift < 0:
        value = emit.builder.shl(value, emit.ints(-shift))
    if width == 8:
        return value
    mask = ((1 << width) - 1) << up
    return emit.builder.and_(value, emit.ints(mask * 0x01010101))


def planes_bytes(bits: int) -> tuple[int, int]:
    """Bytes of a block's unit in the first and the second bit plane."""
    widths = (*PLANES[bits], 0)
    return 64 * SET.registers * widths[0], 64 * SET.registers * widths[1]


@operation(lambda count: Register("f32", count))
def float_tile(emit: Emit, count: int) -> Any:
    """A register of zeros for each vector."""
    return emit.join([emit.floats(0.0)] * count)


@operation(lambda count, total, value, address, step: Register("f32", count))
def tile_fma(emit: Emit, count: int, total: Any, value: Any, address: Any, step: int) -> Any:
    """total + value * number, the number of vector t being `step` t bytes after the address."""
    sums = []
    for t, before in enumerate(emit.split(total, count)):
        number = emit.same(emit.load(address, step * t, llvm.FLOAT, 4))
        sums.append(emit.fma(value, number, before))
    return emit.join(sums)


@operation(lambda count, address, step: Register("f32", count))
def load_tile(emit: Emit, count: int, address: Any, step: int) -> Any:
    """A tile whose registers lie `step` bytes apart."""
    return emit.join([emit.load(address, step * t, llvm.FLOATS, 4) for t in range(count)])


@operation(lambda count, total, address, step: types.void)
def save_tile(emit: Emit, count: int, total: Any, address: Any, step: int) -> None:
    """The other way round."""
    for t, value in enumerate(emit.split(total, count)):
        emit.store(value, address, step * t, 4)
