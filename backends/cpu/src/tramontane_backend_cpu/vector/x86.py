"""Instruction sets of x86-64."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .instruction_set import (
    BYTE,
    FLOAT,
    FLOATS,
    HALF,
    INT,
    INTS,
    LANES,
    Bfloats,
    Fused,
    Shorts,
    call,
    join,
    padded,
    part,
    picked,
)  # fmt: skip


class Avx2(Shorts):
    """x86-64 since 2013 or so."""

    name = "avx2"
    needs = frozenset({"avx2", "fma", "f16c"})
    architecture = "x86_64"
    tile = 4  # of two, sums would fit into registers too, and codes be unpacked twice as often

    lanes, together, vector = 8, 2, "x"

    def pick_bytes(self, builder: Any, table: list[int], codes: Any) -> Any:
        kind = ir.VectorType(BYTE, 32)

        def found(half: int) -> Any:
            places = builder.bitcast(part(builder, codes, 8 * half, 8), kind)

            def pick(sixteen: list[int]) -> Any:
                told = [ir.Constant(kind, sixteen * 2), places]
                return call(builder, "llvm.x86.avx2.pshuf.b", kind, told)

            bytes_ = picked(builder, padded(table, 16), places, 16, pick)
            return builder.bitcast(bytes_, ir.VectorType(INT, 8))

        return join(builder, found(0), found(1))

    def pick_floats(self, builder: Any, table: list[float], codes: Any, byte: int) -> Any:
        kind, floats = ir.VectorType(INT, 8), ir.VectorType(FLOAT, 8)

        def found(half: int) -> Any:
            shift = ir.Constant(kind, [8 * byte] * 8)
            places = builder.lshr(part(builder, codes, 8 * half, 8), shift)

            def pick(eight: list[float]) -> Any:
                told = [ir.Constant(floats, eight), places]
                return call(builder, "llvm.x86.avx2.permps", floats, told)

            return picked(builder, padded(table, 8), places, 8, pick)

        return join(builder, found(0), found(1))

    def products(self, builder: Any, codes: Any, numbers: Any, bits: int) -> list[Any]:
        bytes_, shorts = ir.VectorType(BYTE, 32), ir.VectorType(HALF, 16)
        found = []
        for half in (0, 1):
            a = builder.bitcast(part(builder, codes, 8 * half, 8), bytes_)
            b = builder.bitcast(part(builder, numbers, 8 * half, 8), bytes_)
            if bits == 8:  # the first is unsigned to the instruction: its sign moves over
                b = call(builder, "llvm.x86.avx2.psign.b", bytes_, [b, a])
                a = call(builder, "llvm.abs.v32i8", bytes_, [a, ir.Constant(ir.IntType(1), 0)])
            found.append(call(builder, "llvm.x86.avx2.pmadd.ub.sw", shorts, [a, b]))
        return found

    def widened(self, builder: Any, ints: list[Any], shorts: list[Any]) -> list[Any]:
        ones, kind = ir.Constant(ir.VectorType(HALF, 16), [1] * 16), ir.VectorType(INT, 8)
        wide = [call(builder, "llvm.x86.avx2.pmadd.wd", kind, [each, ones]) for each in shorts]
        return [builder.add(a, b) for a, b in zip(ints, wide, strict=True)]


class Avx2Vnni(Avx2):
    """x86-64 with VNNI in 256-bit registers."""

    name = "avx2-vnni"
    needs = Avx2.needs | {"avxvnni"}
    signed = False

    def begin(self, builder: Any, total: Any) -> Any:
        return total

    def end(self, builder: Any, total: Any) -> Any:
        return total

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


class Avx512Vnni(Fused):
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
        places = builder.bitcast(codes, kind)

        def pick(sixteen: list[int]) -> Any:
            told = [ir.Constant(kind, sixteen * 4), places]
            return call(builder, "llvm.x86.avx512.pshuf.b.512", kind, told)

        return builder.bitcast(picked(builder, padded(table, 16), places, 16, pick), INTS)

    def pick_floats(self, builder: Any, table: list[float], codes: Any, byte: int) -> Any:
        places = builder.lshr(codes, ir.Constant(INTS, [8 * byte] * LANES))

        def pick(sixteen: list[float]) -> Any:
            told = [ir.Constant(FLOATS, sixteen), places]
            return call(builder, "llvm.x86.avx512.permvar.sf.512", FLOATS, told)

        return picked(builder, padded(table, 16), places, 16, pick)


class Avx512Bf16(Avx512Vnni):
    """The same with products of bfloat16."""

    name = "avx512-bf16"
    needs = Avx512Vnni.needs | {"avx512bf16"}
    bf16 = True

    def dot_bf16(self, builder: Any, total: Any, a: Any, b: Any) -> Any:
        pairs = Bfloats(32)
        a, b = builder.bitcast(a, pairs), builder.bitcast(b, pairs)
        return call(builder, "llvm.x86.avx512bf16.dpbf16ps.512", FLOATS, [total, a, b])


class Avx512Vbmi(Avx512Bf16):
    """The same with tables of 64 and of 128 bytes."""

    name = "avx512-vbmi"
    needs = Avx512Bf16.needs | {"avx512vbmi"}

    def pick_bytes(self, builder: Any, table: list[int], codes: Any) -> Any:
        if len(table) <= 16:
            return super().pick_bytes(builder, table, codes)
        kind = ir.VectorType(BYTE, 64)
        told = [ir.Constant(kind, padded(table, 64)), builder.bitcast(codes, kind)]
        return builder.bitcast(call(builder, "llvm.x86.avx512.permvar.qi.512", kind, told), INTS)

    def floats8(self, builder: Any, uppers: list[int], codes: Any, byte: int) -> Any:
        kind = ir.VectorType(BYTE, 64)
        places = builder.bitcast(codes, kind)

        def pick(table: list[int]) -> Any:  # the instruction does not look at a code's sign
            told = [ir.Constant(kind, table[:64]), places, ir.Constant(kind, table[64:])]
            found = call(builder, "llvm.x86.avx512.vpermi2var.qi.512", kind, told)
            return builder.bitcast(found, INTS)

        def ints(value: int) -> Any:
            return ir.Constant(INTS, [value - (value >> 31 << 32)] * LANES)

        lower = pick([upper & 0xFF for upper in uppers])
        sign = builder.and_(codes, ints(0x80808080))
        higher = builder.or_(pick([upper >> 8 for upper in uppers]), sign)
        # every other byte as 16 bits of a float: those of bytes 0 and 2, or of 1 and 3
        if byte % 2 == 0:
            higher = builder.shl(higher, ints(8))
        else:
            lower = builder.lshr(lower, ints(8))
        pair = builder.or_(
            builder.and_(higher, ints(0xFF00FF00)), builder.and_(lower, ints(0x00FF00FF))
        )
        whole = builder.shl(pair, ints(16)) if byte < 2 else builder.and_(pair, ints(0xFFFF0000))
        return builder.bitcast(whole, FLOATS)
