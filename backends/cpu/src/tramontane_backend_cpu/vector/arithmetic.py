"""Arithmetic on 16 floats at once. `+`, `-` and `*` work on registers as on numbers.

Sums across lanes are taken in one order, so a result depends on nothing but its numbers.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from . import instruction_set as llvm
from .operation import FLOATS, Emit, operation, types

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.693145751953125, 1.428606765330187e-06
"""Their sum is ln 2; the first has few enough bits to be multiplied by small integers exactly."""
EXP = (1.0, 1.0, 0.5, 1 / 6, 1 / 24, 1 / 120, 1 / 720)
LEAST, MOST = -87.0, 88.0


@operation(lambda value: FLOATS)
def same(emit: Emit, value: Any) -> Any:
    """A number in all lanes."""
    return emit.floats(float(value)) if isinstance(value, int) else emit.same(value)


@operation(lambda a, b, c: FLOATS)
def fma(emit: Emit, a: Any, b: Any, c: Any) -> Any:
    """a * b + c."""
    return emit.fma(a, b, c)


@operation(lambda a, b: FLOATS)
def plus(emit: Emit, a: Any, b: Any) -> Any:
    """a + b."""
    return emit.builder.fadd(a, b)


@operation(lambda a: FLOATS)
def positive(emit: Emit, a: Any) -> Any:
    """0 for what is below it; NaN stay."""
    below = emit.builder.fcmp_ordered("<", a, emit.floats(0.0))
    return emit.builder.select(below, emit.floats(0.0), a)


@operation(lambda a, b: FLOATS)
def larger(emit: Emit, a: Any, b: Any) -> Any:
    """The larger of each lane, that of b where a is NaN."""
    return emit.builder.select(emit.builder.fcmp_ordered(">", a, b), a, b)


def fold(emit: Emit, vector: Any, join: Any) -> Any:
    """Combine the halves until one number is left."""
    builder, count = emit.builder, llvm.LANES
    while count > 1:
        count //= 2
        vector = join(
            llvm.part(builder, vector, 0, count), llvm.part(builder, vector, count, count)
        )
    return builder.extract_element(vector, llvm.INT(0))


@operation(lambda a: FLOATS)
def root(emit: Emit, a: Any) -> Any:
    """The square root, rounded once; NaN below 0."""
    return emit.call("llvm.sqrt.v16f32", llvm.FLOATS, [a])


@operation(lambda a: types.float32)
def lane_sum(emit: Emit, a: Any) -> Any:
    """The sum of a register's numbers."""
    return fold(emit, a, emit.builder.fadd)


@operation(lambda a: types.float32)
def first_lane(emit: Emit, a: Any) -> Any:
    return emit.builder.extract_element(a, llvm.INT(0))


@operation(lambda a: types.float32)
def lane_most(emit: Emit, a: Any) -> Any:
    """The largest of a register's numbers."""

    def most(x: Any, y: Any) -> Any:
        return emit.builder.select(emit.builder.fcmp_ordered(">", x, y), x, y)

    return fold(emit, a, most)


@operation(lambda a: FLOATS)
def exp(emit: Emit, a: Any) -> Any:
    """e^a: 2^n e^r with |r| <= ln 2 / 2 and a polynomial for e^r, to about 1e-7 of its value; 0
    below -87, infinity above 88."""
    builder = emit.builder
    return exponential(emit, builder, a)


def exponential(emit: Emit, builder: Any, a: Any) -> Any:
    """What `exp` emits."""
    low = builder.fcmp_ordered("<", a, emit.floats(LEAST))
    high = builder.fcmp_ordered(">", a, emit.floats(MOST))
    bound = builder.select(builder.or_(low, high), emit.floats(0.0), a)
    n = emit.call("llvm.nearbyint.v16f32", llvm.FLOATS, [builder.fmul(bound, emit.floats(LOG2_E))])
    r = emit.fma(n, emit.floats(-LN2_HIGH), bound)
    r = emit.fma(n, emit.floats(-LN2_LOW), r)
    value = emit.floats(EXP[-1])
    for coefficient in EXP[-2::-1]:
        value = emit.fma(value, r, emit.floats(coefficient))
    # NaN and n have no common bits to mind: what converts to nonsense is NaN in `value`
    power = builder.shl(builder.add(builder.fptosi(n, llvm.INTS), emit.ints(127)), emit.ints(23))
    value = builder.fmul(value, builder.bitcast(power, llvm.FLOATS))
    value = builder.select(low, emit.floats(0.0), value)
    return builder.select(high, emit.floats(float("inf")), value)


@operation(lambda a: FLOATS)
def tanh(emit: Emit, a: Any) -> Any:
    """1 - 2 / (e^2a + 1), which loses nothing that a float32 near 0 would keep beyond 1e-7."""
    builder = emit.builder
    twice = exponential(emit, builder, builder.fadd(a, a))
    ratio = builder.fdiv(emit.floats(2.0), builder.fadd(twice, emit.floats(1.0)))
    return builder.fsub(emit.floats(1.0), ratio)


def masked(emit: Emit, count: Any) -> Any:
    """Lanes below `count`, as LLVM's vector of bits."""
    places = ir.Constant(llvm.INTS, list(range(llvm.LANES)))
    limit = emit.same(emit.builder.trunc(emit.integer(count), llvm.INT))
    return emit.builder.icmp_signed("<", places, limit)


@operation(lambda a, first, last: FLOATS)
def only(emit: Emit, a: Any, first: Any, last: Any) -> Any:
    """Lanes first..last, minus infinity in the others."""
    builder = emit.builder
    places = ir.Constant(llvm.INTS, list(range(llvm.LANES)))
    low = emit.same(builder.trunc(emit.integer(first), llvm.INT))
    high = emit.same(builder.trunc(emit.integer(last), llvm.INT))
    inside = builder.and_(
        builder.icmp_signed(">=", places, low), builder.icmp_signed("<", places, high)
    )
    return builder.select(inside, a, emit.floats(float("-inf")))
