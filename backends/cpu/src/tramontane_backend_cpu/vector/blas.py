"""Calls of CBLAS functions through addresses, and sums in the order in which libraries add."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from . import instruction_set as llvm
from .memory import SIZES, STORED, load_masked, store_masked, widened
from .operation import Emit, operation, types

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112
"""Of CBLAS's enumerations."""


@operation(
    lambda wide, flipped, function, m, n, k, a, lda, b, ldb, c, ldc: types.void
)  # fmt: skip
def call_gemm(
    emit: Emit, wide: bool, flipped: bool, function: Any, m: Any, n: Any, k: Any, a: Any, lda: Any,
    b: Any, ldb: Any, c: Any, ldc: Any,
) -> None:  # fmt: skip
    """c (m, n) = a (m, k) times b (k, n), or times b (n, k) flipped; all row-major, ld: numbers
    from one row to the next. wide: whether the library's integers have 64 bits."""
    number = llvm.LONG if wide else llvm.INT
    kinds = [llvm.INT] * 3 + [number] * 3
    kinds += [llvm.FLOAT, llvm.LONG, number, llvm.LONG, number, llvm.FLOAT, llvm.LONG, number]
    pointer = emit.builder.inttoptr(
        emit.integer(function), ir.FunctionType(ir.VoidType(), kinds).as_pointer()
    )

    def whole(value: Any) -> Any:
        value = emit.integer(value)
        return value if wide else emit.builder.trunc(value, llvm.INT)

    second = TRANSPOSED if flipped else PLAIN
    emit.builder.call(pointer, [
        llvm.INT(ROW_MAJOR), llvm.INT(PLAIN), llvm.INT(second), whole(m), whole(n), whole(k),
        ir.Constant(llvm.FLOAT, 1.0), emit.integer(a), whole(lda), emit.integer(b), whole(ldb),
        ir.Constant(llvm.FLOAT, 0.0), emit.integer(c), whole(ldc),
    ])  # fmt: skip


@operation(lambda kind, across, deep, total, weights, x, x_stride, vectors: total)
def add_column(
    emit: Emit, kind: str, across: int, deep: int, total: Any, weights: Any, x: Any, x_stride: Any,
    vectors: Any,
) -> Any:  # fmt: skip
    """Add to each sum one product: 16 * `across` rows' weights of a column, which lie side by side,
    with one number of each of `deep` vectors. Beyond `vectors` the last counts again."""
    builder = emit.builder
    stored = ir.VectorType(STORED[kind], llvm.LANES)
    size = SIZES[kind] * llvm.LANES
    ws = [widened(emit, kind, emit.load(weights, size * i, stored)) for i in range(across)]
    sums = emit.split(total, across * deep)
    for t in range(deep):
        within = builder.icmp_signed("<", llvm.LONG(t), emit.integer(vectors))
        last = builder.sub(emit.integer(vectors), llvm.LONG(1))
        index = builder.select(within, llvm.LONG(t), last)
        at = builder.add(emit.integer(x), builder.mul(index, emit.integer(x_stride)))
        value = emit.same(emit.load(at, 0, llvm.FLOAT))
        for i, w in enumerate(ws):
            sums[t * across + i] = emit.fma(w, value, sums[t * across + i])
    return emit.join(sums)


@operation(lambda across, deep, total, out, stride, vectors, rows, more: types.void)
def put_columns(
    emit: Emit, across: int, deep: int, total: Any, out: Any, stride: Any, vectors: Any, rows: Any,
    more: Any,
) -> None:  # fmt: skip
    """Write these sums, of `rows` rows and `vectors` vectors; more: add them to what is there."""
    builder = emit.builder
    sums = emit.split(total, across * deep)
    adds = builder.icmp_signed("!=", emit.integer(more), llvm.LONG(0))
    for t in range(deep):
        with builder.if_then(builder.icmp_signed("<", llvm.LONG(t), emit.integer(vectors))):
            line = builder.add(emit.integer(out), builder.mul(emit.integer(stride), llvm.LONG(t)))
            for i in range(across):
                left = builder.sub(emit.integer(rows), llvm.LONG(16 * i))
                with builder.if_then(builder.icmp_signed(">", left, llvm.LONG(0))):
                    at = builder.add(line, llvm.LONG(64 * i))
                    value = sums[t * across + i]
                    before = load_masked(emit, "f32", emit.at(at, 0, llvm.BYTE), left)
                    value = builder.select(adds, builder.fadd(before, value), value)
                    store_masked(emit, at, value, left)
