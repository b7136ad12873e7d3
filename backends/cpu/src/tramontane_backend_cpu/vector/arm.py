"""Instruction sets of 64-bit Arm, whose registers hold four rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .instruction_set import (
    BYTE,
    HALF,
    INT,
    Bfloats,
    Fused,
    Portable,
    Shorts,
    call,
    join,
    padded,
    part,
)


class _Neon(Portable):
    """What all of them have in common."""

    architecture = "aarch64"
    needs = frozenset({"neon"})

    def pick_bytes(self, builder: Any, table: list[int], codes: Any) -> Any:
        kind = ir.VectorType(BYTE, 16)
        entries = padded(table, 16)
        parts = [
            ir.Constant(kind, entries[start : start + 16]) for start in range(0, len(entries), 16)
        ]

        def pick(places: Any) -> Any:
            told = [*parts, builder.bitcast(places, kind)]
            name = f"llvm.aarch64.neon.tbl{len(parts)}.v16i8"
            return builder.bitcast(call(builder, name, kind, told), ir.VectorType(INT, 4))

        return by_quarters(builder, pick, codes)


class Neon(_Neon, Shorts):
    """Without products of bytes: the Raspberry Pi 3 and 4."""

    name = "neon"
    tile = 2
    lanes, together, vector = 4, 1, "w"

    def products(self, builder: Any, codes: Any, numbers: Any, bits: int) -> list[Any]:
        shorts, eight = ir.VectorType(HALF, 8), ir.VectorType(BYTE, 8)
        found = []
        for half in range(8):
            two = [
                builder.bitcast(part(builder, value, 2 * half, 2), eight)
                for value in (codes, numbers)
            ]
            found.append(call(builder, "llvm.aarch64.neon.smull.v8i16", shorts, two))
        return found

    def widened(self, builder: Any, ints: list[Any], shorts: list[Any]) -> list[Any]:
        four = ir.VectorType(INT, 4)
        pairs = [call(builder, "llvm.aarch64.neon.saddlp.v4i32.v8i16", four, [x]) for x in shorts]
        sums = [
            call(builder, "llvm.aarch64.neon.addp.v4i32", four, [low, high])
            for low, high in zip(pairs[::2], pairs[1::2], strict=True)
        ]
        return [builder.add(a, b) for a, b in zip(ints, sums, strict=True)]


class NeonDot(_Neon, Fused):
    """With products of bytes: Apple's M1, the Raspberry Pi 5, servers since 2019."""

    name = "neon-dot"
    needs = _Neon.needs | {"dotprod"}
    tile = 2
    signed = True
    product = "llvm.aarch64.neon.sdot.v4i32.v16i8"

    def dot(self, builder: Any, total: Any, codes: Any, numbers: Any, bits: int) -> Any:
        kind = ir.VectorType(BYTE, 16)

        def add(sums: Any, *pair: Any) -> Any:
            told = [sums, *(builder.bitcast(value, kind) for value in pair)]
            return call(builder, self.product, sums.type, told)

        return by_quarters(builder, add, total, codes, numbers)


class NeonMixed(NeonDot):
    """With products of unsigned and signed bytes, and of bfloat16: Apple's M2 and later, servers
    since 2022."""

    name = "neon-mixed"
    needs = NeonDot.needs | {"i8mm", "bf16"}
    signed = False
    bf16 = True
    product = "llvm.aarch64.neon.usdot.v4i32.v16i8"

    def dot_bf16(self, builder: Any, total: Any, a: Any, b: Any) -> Any:
        def add(sums: Any, *pair: Any) -> Any:
            told = [sums, *(builder.bitcast(value, Bfloats(8)) for value in pair)]
            return call(builder, "llvm.aarch64.neon.bfdot.v4f32.v8bf16", sums.type, told)

        return by_quarters(builder, add, total, a, b)


def by_quarters(builder: Any, function: Callable[..., Any], *vectors: Any) -> Any:
    """What a function makes of four lanes at a time."""
    quarters = [
        function(*(part(builder, vector, 4 * quarter, 4) for vector in vectors))
        for quarter in range(4)
    ]
    return whole(builder, quarters)


def whole(builder: Any, quarters: list[Any]) -> Any:
    """Four vectors as one."""
    return join(builder, join(builder, *quarters[:2]), join(builder, *quarters[2:]))
