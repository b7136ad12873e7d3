"""What an instruction set is: how a processor does the few operations that decide speed.

Everything else is plain LLVM, which splits a vector of 16 into the registers that there are. To add
a set: subclass `Portable`, say what it needs, emit what it does better, and list it in `target.py`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

BYTE, HALF, INT, LONG, FLOAT = (
    ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType(),
)  # fmt: skip
LANES = 16
INTS, FLOATS = ir.VectorType(INT, LANES), ir.VectorType(FLOAT, LANES)


class Portable:
    """Right everywhere, fast nowhere."""

    name = "portable"
    needs: frozenset[str] = frozenset()
    """Features of the processor, as LLVM names them."""
    architecture: str | None = None
    """LLVM's name of the machine; None: any."""
    registers = 1
    """Of 16 rows each that a block of a packed matrix has; they share the loads of vectors."""
    tile = 4
    """Vectors that share the loads of a block: as many as leave room for their sums."""
    dense_tile = (2, 2)
    """The same for plain weights: rows by vectors."""
    attention_tiles = (2, 4)
    """Queries that share loads of keys and values, when there are few and when many."""
    halves = False
    """Whether an instruction converts numbers of half precision."""
    signed = False
    """Whether `dot` takes codes of 8 bits as signed bytes, less 128."""
    bf16 = False
    """Whether products of bfloat16 are summed by an instruction."""

    def fma(self, builder: Any, a: Any, b: Any, c: Any) -> Any:
        """a * b + c."""
        return builder.fadd(builder.fmul(a, b), c)

    def begin(self, builder: Any, total: Any) -> Any:
        """A running sum for `dot`, which begins with INTS."""
        return total

    def dot(self, builder: Any, total: Any, codes: Any, numbers: Any, bits: int) -> Any:
        """total + codes . numbers, lane by lane; total: a running sum.

        codes: 16 x 4 unsigned bytes of so many bits, see also `signed`; numbers: 16 x 4 signed
        bytes, none of them -128.
        """
        for byte in range(4):
            up = ir.Constant(INTS, [24 - 8 * byte] * LANES)
            down = ir.Constant(INTS, [24] * LANES)
            code = builder.lshr(builder.shl(codes, up), down)
            number = builder.ashr(builder.shl(numbers, up), down)
            total = builder.add(total, builder.mul(code, number))
        return total

    def end(self, builder: Any, total: Any) -> Any:
        """What a running sum comes to, as INTS."""
        return total

    def dot_signed(self, builder: Any, total: Any, a: Any, b: Any) -> Any:
        """total + a . b, lane by lane, of 16 x 4 signed bytes, none of them -128; total: INTS."""
        running = self.begin(builder, total)
        if self.signed:
            return self.end(builder, self.dot(builder, running, a, b, 8))
        kind = ir.VectorType(BYTE, 4 * LANES)
        zero = ir.Constant(kind, [0] * kind.count)
        first, second = builder.bitcast(a, kind), builder.bitcast(b, kind)
        below = builder.icmp_signed("<", first, zero)
        size = builder.select(below, builder.sub(zero, first), first)
        signed = builder.select(below, builder.sub(zero, second), second)
        codes, numbers = builder.bitcast(size, INTS), builder.bitcast(signed, INTS)
        return self.end(builder, self.dot(builder, running, codes, numbers, 7))

    def dot_bf16(self, builder: Any, total: Any, a: Any, b: Any) -> Any:
        """total + a . b, lane by lane; a, b: 16 x 2 bfloat16 as INTS, total: FLOATS."""
        raise NotImplementedError

    def pick_bytes(self, builder: Any, table: list[int], codes: Any) -> Any:
        """The bytes of a table of up to 64 that codes name; codes: 16 x 4 bytes as INTS, each less
        than the table's size."""
        kind = ir.VectorType(BYTE, 4 * LANES)
        places = builder.bitcast(codes, kind)
        found = ir.Constant(kind, [table[0]] * kind.count)
        for index, byte in enumerate(table[1:], 1):
            here = builder.icmp_unsigned("==", places, ir.Constant(kind, [index] * kind.count))
            found = builder.select(here, ir.Constant(kind, [byte] * kind.count), found)
        return builder.bitcast(found, INTS)

    def floats8(self, builder: Any, uppers: list[int], codes: Any, byte: int) -> Any:
        """The 8-bit floats in one byte of each lane's codes, as FLOATS; None: put together with
        arithmetic. uppers: the upper halves of the floats that the 128 positive ones are."""
        return None

    def pick_floats(self, builder: Any, table: list[float], codes: Any, byte: int) -> Any:
        """The floats of a table of up to 64 that one byte of each lane's codes names."""
        words = [struct.pack("<f", number) for number in table]
        total = ir.Constant(INTS, [0] * LANES)
        for index in range(4):
            part = [word[index] for word in words]
            if any(part):
                picked = self.pick_bytes(builder, part, codes)
                shift = ir.Constant(INTS, [8 * byte] * LANES)
                low = builder.and_(builder.lshr(picked, shift), ir.Constant(INTS, [0xFF] * LANES))
                up = ir.Constant(INTS, [8 * index] * LANES)
                total = builder.or_(total, builder.shl(low, up))
        return builder.bitcast(total, FLOATS)


class Fused(Portable):
    """With an instruction that multiplies, adds and rounds once, and one that converts halves."""

    halves = True

    def fma(self, builder: Any, a: Any, b: Any, c: Any) -> Any:
        name = f"llvm.fma.v{LANES}f32" if a.type == FLOATS else "llvm.fma.f32"
        return call(builder, name, a.type, [a, b, c])


@dataclass(frozen=True)
class Running:
    """A running sum, register by register, whose last products are still of 16 bits.

    room: by how much these may grow.
    """

    ints: list[Any]
    shorts: list[Any]
    room: int = 0x7FFF


class Shorts(Fused):
    """With products of bytes in 16 bits, which are added there for as long as they fit."""

    signed = True
    lanes: int
    """Numbers of 32 bits in a register."""
    together: int
    """Products that an instruction adds to one number of 16 bits."""
    vector: str
    """What LLVM's inline assembly calls a register."""

    def begin(self, builder: Any, total: Any) -> Any:
        places = range(0, LANES, self.lanes)
        return Running([part(builder, total, place, self.lanes) for place in places], [])

    def dot(self, builder: Any, total: Any, codes: Any, numbers: Any, bits: int) -> Any:
        shorts = self.products(builder, codes, numbers, bits)
        if total.shorts:
            shorts = [builder.add(a, b) for a, b in zip(total.shorts, shorts, strict=True)]
        most = self.together * 127 * (128 if bits == 8 else (1 << bits) - 1)
        room = total.room - most
        if room >= most:
            return Running(total.ints, self._pinned(builder, shorts), room)
        return Running(self._pinned(builder, self.widened(builder, total.ints, shorts)), [])

    def end(self, builder: Any, total: Any) -> Any:
        if total.shorts:
            total = Running(self.widened(builder, total.ints, total.shorts), [])
        parts = total.ints
        while len(parts) > 1:
            parts = [join(builder, *pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    def products(self, builder: Any, codes: Any, numbers: Any, bits: int) -> list[Any]:
        """Registers of 16-bit numbers."""
        raise NotImplementedError

    def widened(self, builder: Any, ints: list[Any], shorts: list[Any]) -> list[Any]:
        """ints + shorts."""
        raise NotImplementedError

    def _pinned(self, builder: Any, registers: list[Any]) -> list[Any]:
        """The same, which must be there before whatever is pinned later: LLVM would take sum by
        sum, and keep on the stack what the next one needs as well."""
        kind = ir.FunctionType(registers[0].type, [registers[0].type])
        told = f"={self.vector},0"
        return [builder.asm(kind, "", told, [each], side_effect=True) for each in registers]


class Bfloats(ir.VectorType):  # type: ignore[misc]
    """A vector of bfloat16, which llvmlite does not have."""

    def __init__(self, count: int) -> None:
        super().__init__(HALF, count)

    def _to_string(self) -> str:
        return f"<{self.count} x bfloat>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bfloats) and self.count == other.count

    def __hash__(self) -> int:
        return hash(("bfloat", self.count))


def call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Call a function that LLVM knows by name."""
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = ir.Function(builder.module, kind, name)
    return builder.call(function, arguments)


def part(builder: Any, vector: Any, first: int, count: int) -> Any:
    """Lanes first..first+count of a vector."""
    lanes = ir.Constant(ir.VectorType(INT, count), list(range(first, first + count)))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), lanes)


def join(builder: Any, low: Any, high: Any) -> Any:
    """Two vectors as one."""
    lanes = ir.Constant(ir.VectorType(INT, 2 * low.type.count), list(range(2 * low.type.count)))
    return builder.shuffle_vector(low, high, lanes)


def picked(
    builder: Any, table: list[Any], codes: Any, size: int, pick: Callable[[list[Any]], Any]
) -> Any:
    """What codes name in a table of `size` times a power of two, of which `pick` finds what their
    lowest bits name in `size` entries.

    codes: a vector as what `pick` finds. The bits above decide between what is found in the table's
    parts.
    """
    parts = [pick(table[start : start + size]) for start in range(0, len(table), size)]
    kind, bit = codes.type, size
    zero = ir.Constant(kind, [0] * kind.count)
    while len(parts) > 1:
        higher = builder.icmp_unsigned(
            "!=", builder.and_(codes, ir.Constant(kind, [bit] * kind.count)), zero
        )
        pairs = zip(parts[::2], parts[1::2], strict=True)
        parts = [builder.select(higher, high, low) for low, high in pairs]
        bit *= 2
    return parts[0]


def padded(table: list[Any], least: int) -> list[Any]:
    """A table with zeros after it, of at least so many entries."""
    return table + [0] * (least - len(table))
