"""Sums of products of a tile of rows with a tile of vectors, all of them plain and read along their
columns: each load of a row serves every vector, and the other way round.

Rows and vectors beyond those that there are read the last one again; their sums are not written.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from . import instruction_set as llvm
from .memory import SIZES, STORED, load_masked, store_masked, widened
from .operation import Emit, Register, operation, types

WIDE = {"f32": 16, "f16": 16, "bf16": 16, "bf16.bf16": 32}
"""Columns per step."""


@operation(lambda across, deep: Register("f32", across * deep))
def zeros(emit: Emit, across: int, deep: int) -> Any:
    """Sums to begin with."""
    return emit.join([emit.floats(0.0)] * (across * deep))


@operation(lambda kind, across, deep, total, w, w_stride, rows, x, x_stride, vectors, column: total)
def outer_sum(
    emit: Emit, kind: str, across: int, deep: int, total: Any, w: Any, w_stride: Any, rows: Any,
    x: Any, x_stride: Any, vectors: Any, column: Any,
) -> Any:  # fmt: skip
    """Add the products of WIDE[kind] columns, of up to `across` rows and `deep` vectors."""
    weights, inputs = (w, w_stride, rows, across), (x, x_stride, vectors, deep)
    return _outer(emit, kind, total, weights, inputs, column, None)


@operation(
    lambda kind, across, deep, total, w, w_stride, rows, x, x_stride, vectors, column, left: total
)
def outer_sum_some(
    emit: Emit, kind: str, across: int, deep: int, total: Any, w: Any, w_stride: Any, rows: Any,
    x: Any, x_stride: Any, vectors: Any, column: Any, left: Any,
) -> Any:  # fmt: skip
    """Add the products of the `left` columns that remain, fewer than WIDE[kind]."""
    weights, inputs = (w, w_stride, rows, across), (x, x_stride, vectors, deep)
    return _outer(emit, kind, total, weights, inputs, column, left)


@operation(lambda across, deep, total, rows, vectors, out, stride, bias, row, add: types.void)
def put_sums(
    emit: Emit, across: int, deep: int, total: Any, rows: Any, vectors: Any, out: Any,
    stride: Any, bias: Any, row: Any, add: Any,
) -> None:  # fmt: skip
    """Write what the sums come to, with a bias and with what is there already if so wanted."""
    builder = emit.builder
    sums = emit.split(total, across * deep)
    adds = builder.icmp_signed("!=", emit.integer(add), llvm.LONG(0))
    biased = builder.icmp_signed("!=", emit.integer(bias), llvm.LONG(0))
    more = builder.alloca(llvm.FLOATS)
    builder.store(emit.floats(0.0), more)
    with builder.if_then(biased):
        place = builder.add(emit.integer(bias), builder.mul(emit.integer(row), llvm.LONG(4)))
        builder.store(load_masked(emit, "f32", emit.at(place, 0, llvm.BYTE), rows), more)
    for t in range(deep):
        with builder.if_then(builder.icmp_signed("<", llvm.LONG(t), emit.integer(vectors))):
            numbers = _folds(emit, [sums[r * deep + t] for r in range(across)])
            numbers = builder.fadd(numbers, builder.load(more))
            step = builder.mul(emit.integer(stride), llvm.LONG(t))
            at = builder.add(emit.integer(out), step)
            before = load_masked(emit, "f32", emit.at(at, 0, llvm.BYTE), rows)
            before = builder.select(adds, before, emit.floats(-0.0))
            store_masked(emit, at, builder.fadd(before, numbers), rows)


def _folds(emit: Emit, vectors: list[Any]) -> Any:
    """The sums of up to 16 registers' numbers, in the order of `fold`, in the first lanes of one.

    At each level halves are added; while there are several registers, two become one.
    """
    builder = emit.builder
    nothing = ir.Constant(llvm.FLOATS, ir.Undefined)
    while len(vectors) & (len(vectors) - 1):
        vectors = [*vectors, nothing]
    size, segments = llvm.LANES, 1
    while size > 1:
        size //= 2
        starts = [2 * size * segment for segment in range(segments)]
        if len(vectors) > 1:
            starts += [llvm.LANES + start for start in starts]
            pairs = list(zip(vectors[::2], vectors[1::2], strict=True))
            segments *= 2
        else:
            pairs = [(vectors[0], nothing)]
        lanes = [start + lane for start in starts for lane in range(size)]
        halves = []
        for offset in (0, size):
            chosen = [lane + offset for lane in lanes]
            mask = ir.Constant(llvm.INTS, chosen + [0] * (llvm.LANES - len(lanes)))
            halves.append([builder.shuffle_vector(x, y, mask) for x, y in pairs])
        vectors = [builder.fadd(low, high) for low, high in zip(*halves, strict=True)]
    return vectors[0]


def _outer(
    emit: Emit, kind: str, total: Any, weights: Any, inputs: Any, column: Any, left: Any
) -> Any:
    weight_kind, _, input_kind = kind.partition(".")
    paired = bool(input_kind)
    ws = _loads(emit, weight_kind, weights, column, left, paired)
    xs = _loads(emit, input_kind or "f32", inputs, column, left, paired)
    sums = emit.split(total, len(ws) * len(xs))
    for r, w in enumerate(ws):
        for t, x in enumerate(xs):
            at = r * len(xs) + t
            if paired:
                sums[at] = emit.isa.dot_bf16(emit.builder, sums[at], w, x)
            else:
                sums[at] = emit.fma(w, x, sums[at])
    return emit.join(sums)


def _loads(emit: Emit, kind: str, place: Any, column: Any, left: Any, paired: bool) -> list[Any]:
    """A register of each row or vector."""
    builder = emit.builder
    base, stride, there, count = place
    there = emit.integer(there)
    base = builder.add(base, builder.mul(emit.integer(column), llvm.LONG(SIZES[kind])))
    found = []
    for i in range(count):
        within = builder.icmp_signed("<", llvm.LONG(i), there)
        index = builder.select(within, llvm.LONG(i), builder.sub(there, llvm.LONG(1)))
        at = builder.add(base, builder.mul(index, stride))
        if paired:
            found.append(_pairs(emit, at, left))
        elif left is None:
            stored = ir.VectorType(STORED[kind], llvm.LANES)
            found.append(widened(emit, kind, emit.load(at, 0, stored)))
        else:
            found.append(load_masked(emit, kind, emit.at(at, 0, llvm.BYTE), left))
    return found


def _pairs(emit: Emit, at: Any, left: Any) -> Any:
    """32 numbers of 16 bits as 16 pairs."""
    if left is None:
        return emit.load(at, 0, llvm.INTS)
    vector = ir.VectorType(llvm.HALF, 32)
    places = ir.Constant(ir.VectorType(llvm.INT, 32), list(range(32)))
    limit = emit.builder.trunc(left, llvm.INT)
    wide = ir.VectorType(llvm.INT, 32)
    first = emit.builder.insert_element(ir.Constant(wide, ir.Undefined), limit, llvm.INT(0))
    limits = emit.builder.shuffle_vector(
        first, ir.Constant(wide, ir.Undefined), ir.Constant(wide, [0] * 32)
    )
    mask = emit.builder.icmp_signed("<", places, limits)
    pointer = emit.at(at, 0, llvm.BYTE)
    arguments = [pointer, mask, ir.Constant(vector, None)]
    return emit.builder.bitcast(
        emit.call("llvm.masked.load.v32i16.p0", vector, arguments), llvm.INTS
    )
