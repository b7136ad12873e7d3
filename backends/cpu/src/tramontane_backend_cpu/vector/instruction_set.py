"""Instruction sets: how each processor does the few operations that decide speed.

Everything else is plain LLVM, which splits a vector of 16 into the registers that there are. To add
a set: subclass `Portable`, say what it needs, emit what it does better, and list it in SETS.
"""

from __future__ import annotations

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
    """How LLVM's name of the machine begins; None: any."""
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
    bf16 = False
    """Whether products of bfloat16 are summed by an instruction."""

    def fma(self, builder: Any, a: Any, b: Any, c: Any) -> Any:
        """a * b + c."""
        return builder.fadd(builder.fmul(a, b), c)

    def dot(self, builder: Any, total: Any, codes: Any, numbers: Any, bits: int) -> Any:
        """total + codes . numbers, lane by lane.

        codes: 16 x 4 unsigned bytes of so many bits; numbers: 16 x 4 signed bytes; total: INTS.
        """
        for byte in range(4):
            up = ir.Constant(INTS, [24 - 8 * byte] * LANES)
            down = ir.Constant(INTS, [24] * LANES)
            code = builder.lshr(builder.shl(codes, up), down)
            number = builder.ashr(builder.shl(numbers, up), down)
            total = builder.add(total, builder.mul(code, number))
        return total

    def dot_signed(self, builder: Any, total: Any, a: Any, b: Any) -> Any:
        """total + a . b, lane by lane, of 16 x 4 signed bytes, those of a not below -127."""
        kind = ir.VectorType(BYTE, 4 * LANES)
        zero = ir.Constant(kind, [0] * kind.count)
        first, second = builder.bitcast(a, kind), builder.bitcast(b, kind)
        below = builder.icmp_signed("<", first, zero)
        size = builder.select(below, builder.sub(zero, first), first)
        signed = builder.select(below, builder.sub(zero, second), second)
        codes, numbers = builder.bitcast(size, INTS), builder.bitcast(signed, INTS)
        return self.dot(builder, total, codes, numbers, 7)

    def dot_bf16(self, builder: Any, total: Any, a: Any, b: Any) -> Any:
        """total + a . b, lane by lane; a, b: 16 x 2 bfloat16 as INTS, total: FLOATS."""
        raise NotImplementedError

    def pick_bytes(self, builder: Any, table: list[int], codes: Any) -> Any:
        """The bytes of a table of 16 that codes below 16 name; codes: 16 x 4 bytes as INTS."""
        kind = ir.VectorType(BYTE, 4 * LANES)
        places = builder.bitcast(codes, kind)
        found = ir.Constant(kind, [table[0]] * kind.count)
        for index, byte in enumerate(table[1:], 1):
            here = builder.icmp_unsigned("==", places, ir.Constant(kind, [index] * kind.count))
            found = builder.select(here, ir.Constant(kind, [byte] * kind.count), found)
        return builder.bitcast(found, INTS)


class _Fused(Portable):
    """With an instruction that multiplies, adds and rounds once, and one that converts halves."""

    halves = True

    def fma(self, builder: Any, a: Any, b: Any, c: Any) -> Any:
        name = f"llvm.fma.v{LANES}f32" if a.type == FLOATS else "llvm.fma.f32"
        return call(builder, name, a.type, [a, b, c])


class Avx2(_Fused):
    """x86-64 since 2013 or so. Products of a pair of bytes are added in 16 bits, and saturate."""

    name = "avx2"
    needs = frozenset({"avx2", "fma", "f16c"})
    architecture = "x86_64"
    tile = 2

    def dot(self, builder: Any, total: Any, codes: Any, numbers: Any, bits: int) -> Any:
        if bits < 8:  # 2 * 127 * 127 fits, 2 * 255 * 127 does not
            return builder.add(total, self._pairs(builder, codes, numbers))
        low = builder.and_(codes, ir.Constant(INTS, [0x0F0F0F0F] * LANES))
        four = ir.Constant(INTS, [4] * LANES)
        high = builder.and_(builder.lshr(codes, four), ir.Constant(INTS, [0x0F0F0F0F] * LANES))
        upper = builder.shl(self._pairs(builder, high, numbers), four)
        return builder.add(total, builder.add(upper, self._pairs(builder, low, numbers)))

    def pick_bytes(self, builder: Any, table: list[int], codes: Any) -> Any:
        kind = ir.VectorType(BYTE, 32)
        constant = ir.Constant(kind, table * 2)
        halves = []
        for half in (0, 1):
            places = builder.bitcast(part(builder, codes, 8 * half, 8), kind)
            picked = call(builder, "llvm.x86.avx2.pshuf.b", kind, [constant, places])
            halves.append(builder.bitcast(picked, ir.VectorType(INT, 8)))
        return join(builder, *halves)

    def _pairs(self, builder: Any, codes: Any, numbers: Any) -> Any:
        bytes_, shorts, ints = (ir.VectorType(*kind) for kind in ((BYTE, 32), (HALF, 16), (INT, 8)))
        halves = []
        for half in (0, 1):
            a = builder.bitcast(part(builder, codes, 8 * half, 8), bytes_)
            b = builder.bitcast(part(builder, numbers, 8 * half, 8), bytes_)
            pairs = call(builder, "llvm.x86.avx2.pmadd.ub.sw", shorts, [a, b])
            ones = ir.Constant(shorts, [1] * 16)
            halves.append(call(builder, "llvm.x86.avx2.pmadd.wd", ints, [pairs, ones]))
        return join(builder, *halves)


class Avx2Vnni(Avx2):
    """x86-64 with VNNI in 256-bit registers."""

    name = "avx2-vnni"
    needs = Avx2.needs | {"avxvnni"}

    def dot(self, builder: Any, total: Any, codes: Any, numbers: Any, bits: int) -> Any:
        ints = ir.VectorType(INT, 8)
        return join(
            builder,
            *(
                call(
                    builder,
                    "llvm.x86.avx512.vpdpbusd.256",
                    ints,
                    [
                        part(builder, total, 8 * half, 8),
                        *(
                            builder.bitcast(
                                part(builder, value, 8 * half, 8), ir.VectorType(BYTE, 32)
                            )
                            for value in (codes, numbers)
                        ),
                    ],
                )
                for half in (0, 1)
            ),
        )


class Avx512Vnni(_Fused):
    """x86-64 with 512-bit registers and products of bytes."""

    name = "avx512-vnni"
    needs = frozenset({"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni"})
    architecture = "x86_64"
    registers = 2
    tile = 4
    dense_tile = (6, 4)
    attention_tiles = (4, 8)

    def dot(self, builder: Any, total: Any, codes: Any, numbers: Any, bits: int) -> Any:
        bytes_ = ir.VectorType(BYTE, 64)
        a, b = builder.bitcast(codes, bytes_), builder.bitcast(numbers, bytes_)
        return call(builder, "llvm.x86.avx512.vpdpbusd.512", INTS, [total, a, b])

    def pick_bytes(self, builder: Any, table: list[int], codes: Any) -> Any:
        kind = ir.VectorType(BYTE, 64)
        told = [ir.Constant(kind, table * 4), builder.bitcast(codes, kind)]
        return builder.bitcast(call(builder, "llvm.x86.avx512.pshuf.b.512", kind, told), INTS)


class Avx512Bf16(Avx512Vnni):
    """The same with products of bfloat16."""

    name = "avx512-bf16"
    needs = Avx512Vnni.needs | {"avx512bf16"}
    bf16 = True

    def dot_bf16(self, builder: Any, total: Any, a: Any, b: Any) -> Any:
        pairs = _Bfloats(32)
        a, b = builder.bitcast(a, pairs), builder.bitcast(b, pairs)
        return call(builder, "llvm.x86.avx512bf16.dpbf16ps.512", FLOATS, [total, a, b])


class NeonDot(_Fused):
    """64-bit Arm with products of bytes: Apple's M1 and later, servers since 2019."""

    name = "neon-dot"
    needs = frozenset({"neon", "dotprod"})
    architecture = "aarch64"
    tile = 2

    def dot(self, builder: Any, total: Any, codes: Any, numbers: Any, bits: int) -> Any:
        if bits == 8:  # signed by signed only: the codes' highest bits count apart
            low = builder.and_(codes, ir.Constant(INTS, [0x7F7F7F7F] * LANES))
            seven = ir.Constant(INTS, [7] * LANES)
            high = builder.and_(builder.lshr(codes, seven), ir.Constant(INTS, [0x01010101] * LANES))
            tops = self._signed(builder, ir.Constant(INTS, [0] * LANES), high, numbers)
            return builder.add(self._signed(builder, total, low, numbers), builder.shl(tops, seven))
        return self._signed(builder, total, codes, numbers)

    def dot_signed(self, builder: Any, total: Any, a: Any, b: Any) -> Any:
        return self._signed(builder, total, a, b)

    def pick_bytes(self, builder: Any, table: list[int], codes: Any) -> Any:
        kind = ir.VectorType(BYTE, 16)
        quarters = []
        for quarter in range(4):
            places = builder.bitcast(part(builder, codes, 4 * quarter, 4), kind)
            told = [ir.Constant(kind, table), places]
            picked = call(builder, "llvm.aarch64.neon.tbl1.v16i8", kind, told)
            quarters.append(builder.bitcast(picked, ir.VectorType(INT, 4)))
        return join(builder, join(builder, *quarters[:2]), join(builder, *quarters[2:]))

    def _signed(self, builder: Any, total: Any, codes: Any, numbers: Any) -> Any:
        bytes_, ints = ir.VectorType(BYTE, 16), ir.VectorType(INT, 4)
        quarters = []
        for quarter in range(4):
            a, b = (
                builder.bitcast(part(builder, value, 4 * quarter, 4), bytes_)
                for value in (codes, numbers)
            )
            sums = part(builder, total, 4 * quarter, 4)
            name = "llvm.aarch64.neon.sdot.v4i32.v16i8"
            quarters.append(call(builder, name, ints, [sums, a, b]))
        return join(builder, join(builder, *quarters[:2]), join(builder, *quarters[2:]))


SETS: tuple[type[Portable], ...] = (Avx512Bf16, Avx512Vnni, Avx2Vnni, Avx2, NeonDot, Portable)
"""Best first."""


class _Bfloats(ir.VectorType):  # type: ignore[misc]
    """llvmlite has no bfloat."""

    def __init__(self, count: int) -> None:
        super().__init__(HALF, count)

    def _to_string(self) -> str:
        return f"<{self.count} x bfloat>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bfloats) and self.count == other.count

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
