"""16-bit floats as numbers: numba has no type for them, the processor has an instruction."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from tramontane_backend_cpu.numba_setup import intrinsic


@intrinsic  # type: ignore[untyped-decorator]
def bf16(typing_context: Any, bits: Any) -> Any:
    """float32 of the bfloat16 whose bits are an uint16: its upper half."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = builder.zext(arguments[0], ir.IntType(32))
        return builder.bitcast(builder.shl(wide, ir.Constant(ir.IntType(32), 16)), ir.FloatType())

    return types.float32(types.uint16), generate


@intrinsic  # type: ignore[untyped-decorator]
def number(typing_context: Any, stored: Any) -> Any:
    """float32 of a stored number: an uint16 is the bits of a half, the others are themselves."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if stored == types.uint16:
            half = builder.bitcast(arguments[0], ir.HalfType())
            return builder.fpext(half, ir.FloatType())
        return context.cast(builder, arguments[0], stored, types.float32)

    return types.float32(stored), generate
