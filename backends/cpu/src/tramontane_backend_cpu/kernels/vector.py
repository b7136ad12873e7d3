"""Sums of products as LLVM vectors that stay in registers.

Numba widens small integers to 64 bits, which keeps LLVM from vectorizing arithmetic on codes well.
Here a numba type stands for a vector of float32, and intrinsics say what is meant with it, in
portable LLVM, which splits a vector into the registers that the processor has.

How many bits and columns a vector is made for comes as *tags*: tuples whose length says it. A
length is part of a type, so kernels are compiled for it, and numba's cache knows them apart, which
it does not for functions made inside functions.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.core.extending import register_model

from tramontane_backend_cpu.numba_setup import intrinsic

BYTE, INT, FLOAT = ir.IntType(8), ir.IntType(32), ir.FloatType()
LANES = 16


class Floats(types.Type):  # type: ignore[misc]
    """`lanes` numbers of float32 in a register, or in several."""

    def __init__(self, lanes: int) -> None:
        super().__init__(name=f"Floats({lanes})")
        self.lanes = lanes


@register_model(Floats)
class _FloatsModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Floats) -> None:
        super().__init__(manager, kind, ir.VectorType(FLOAT, kind.lanes))


def width_tag(width: int) -> tuple[int, ...]:
    """The tag of a bit plane's width."""
    return (0,) * width


def group_tag(group: int) -> tuple[int, ...]:
    """The tag of a group size, a multiple of 16."""
    return (0,) * (group // 16)


def _sizes(width: Any, group: Any) -> tuple[int, int, int]:
    """Bits per code, bytes of a group, and in how many partial sums it is added up."""
    size = group.count * 16 * width.count // 8
    return width.count, size, min(LANES, size)


@intrinsic  # type: ignore[untyped-decorator]
def zeros(typing_context: Any, width: Any, group: Any) -> Any:
    """The vector that a plane's sums begin with."""
    _, _, lanes = _sizes(width, group)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(ir.VectorType(FLOAT, lanes), [0.0] * lanes)

    return Floats(lanes)(width, group), generate


@intrinsic  # type: ignore[untyped-decorator]
def add_scaled(typing_context: Any, total: Any, factor: Any, part: Any) -> Any:
    """total + factor * part: vectors and a number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        one = ir.VectorType(FLOAT, 1)
        single = builder.insert_element(ir.Constant(one, ir.Undefined), arguments[1], INT(0))
        same = ir.Constant(ir.VectorType(INT, total.lanes), [0] * total.lanes)
        factors = builder.shuffle_vector(single, ir.Constant(one, ir.Undefined), same)
        product = builder.fmul(factors, arguments[2], flags=("contract",))
        return builder.fadd(arguments[0], product, flags=("contract",))

    return total(total, types.float32, part), generate


@intrinsic  # type: ignore[untyped-decorator]
def lane_sum(typing_context: Any, vector: Any) -> Any:
    """The sum of a vector's numbers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(FLOAT, [FLOAT, ir.VectorType(FLOAT, vector.lanes)])
        name = f"llvm.vector.reduce.fadd.v{vector.lanes}f32"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, [FLOAT(0.0), arguments[0]], fastmath=("reassoc",))

    return types.float32(vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def code_dot(
    typing_context: Any, width: Any, group: Any, plane: Any, at: Any, x: Any, start: Any
) -> Any:
    """codes * x of one group, as partial sums.

    plane: uint8 array (n), whose bytes at..at + group * width / 8 hold the codes. x: float32
    array (m), whose numbers start..start + group are the columns, ordered by place in a byte.
    """
    bits, size, lanes = _sizes(width, group)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, codes_array, first, x_array, column = arguments
        total = None
        for offset in range(0, size, lanes):
            packed = _load(context, builder, plane, codes_array, first, BYTE, lanes, offset)
            for phase in range(8 // bits):
                codes = packed
                if phase:
                    codes = builder.lshr(codes, _same(BYTE, lanes, phase * bits))
                if bits < 8:
                    codes = builder.and_(codes, _same(BYTE, lanes, (1 << bits) - 1))
                wide = builder.zext(codes, ir.VectorType(INT, lanes))
                numbers = builder.sitofp(wide, ir.VectorType(FLOAT, lanes))
                place = phase * size + offset
                columns = _load(context, builder, x, x_array, column, FLOAT, lanes, place)
                product = builder.fmul(numbers, columns, flags=("contract",))
                if total is None:
                    total = product
                else:
                    total = builder.fadd(total, product, flags=("contract",))
        return total

    return Floats(lanes)(width, group, plane, types.intp, x, types.intp), generate


def _load(
    context: Any, builder: Any, kind: Any, value: Any, at: Any, item: Any, count: int, offset: int
) -> Any:
    """`count` items of an array from at + offset on."""
    data = context.make_array(kind)(context, builder, value).data
    place = builder.add(at, ir.Constant(at.type, offset))
    pointer = builder.bitcast(builder.gep(data, [place]), ir.VectorType(item, count).as_pointer())
    loaded = builder.load(pointer)
    loaded.align = 1 if item is BYTE else 4
    return loaded


def _same(item: Any, count: int, value: int) -> Any:
    return ir.Constant(ir.VectorType(item, count), [value] * count)
