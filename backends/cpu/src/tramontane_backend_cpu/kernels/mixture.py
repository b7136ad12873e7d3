"""Sorted vectors through their experts: to them, through two matrices, through the third, back.

Each job is an expert and a panel of its matrix's rows. The kernels for matrices are those of other
models, told of one expert's matrix and of its vectors; a thread has memory for what they are told.
"""

from __future__ import annotations

from tramontane_backend_cpu.numba_setup import native, njit
from tramontane_backend_cpu.vector.arithmetic import fma, same
from tramontane_backend_cpu.vector.memory import (
    load_some,
    number,
    put_word,
    short_word,
    store_some,
    word,
    words,
)
from tramontane_backend_cpu.vector.parallel import call_kernel
from tramontane_backend_cpu.vector.tiles import UNIT

from .routing import BEGIN, COUNT, EXPERT, INPUT, LINE, MIDDLE

CALL = ("kernel", "arguments", "words", "each", "count", "input", "out", "columns", "begin")
"""What to call, told what, how many words of it, bytes to what it is told of the next expert; which
of the words say where the vectors' count, they themselves and the results are, and of conversions
how many columns there are and at which unit they begin (-1: see `number`)."""
KERNEL, TOLD, WORDS, EACH, COUNTED, VECTORS, RESULTS, COLUMNS, FIRST = range(0, 8 * len(CALL), 8)
GATHER_FIELDS = (
    "x", "x_stride", "chosen", "chosen_stride", "k", "experts", "sorting", "convert", "out",
    "out_bytes", "memory", "memory_bytes", "apart",
)  # fmt: skip
GATE_UP_FIELDS = (
    "experts", "sorting", "panels", "panel", "wide", "gate", "up", "input", "input_bytes", "act",
    "multiply", "values", "convert", "number", "out", "out_bytes", "memory", "memory_bytes",
)  # fmt: skip
DOWN_FIELDS = (
    "sorting", "experts", "panels", "down", "input", "input_bytes", "out", "out_stride", "memory",
    "memory_bytes",
)  # fmt: skip
COMBINE_FIELDS = (
    "weights", "weights_stride", "k", "experts", "sorting", "x", "x_stride", "out", "out_stride",
    "width",
)  # fmt: skip
"""chosen: k experts of each vector, int32. sorting: see `routing.py`. panel: columns of a job's
results, panels: how many jobs an expert has. gate, up, down, convert: addresses of a CALL; up 0:
the activation is of the one matrix `gate`, and nothing multiplies.
out_bytes, input_bytes: of one vector. act, multiply: kernels; act 0: the other is one
of both vectors, and values is what it is told beside them. number: bytes of one of `out`, where
its columns lie side by side, else 0. apart: see `routing.py`."""
ROOM = 512
"""Bytes for a count and for what a kernel is told."""
SLICE = 64
"""Vectors that go through both matrices at a time: whole tiles, whose products stay in the
second-level cache."""


def memory_bytes(panel: int) -> int:
    """A thread's memory: what kernels are told, and products of two matrices."""
    return ROOM + 2 * 4 * SLICE * panel


@njit
def tell(call, expert, memory, count, vectors, out):  # type: ignore[no-untyped-def]
    """Copy what a kernel is told of an expert, with `count` vectors; returns where it is."""
    source, told = word(call + TOLD) + expert * word(call + EACH), memory + 8
    for i in range(word(call + WORDS)):
        put_word(told + 8 * i, word(source + 8 * i))
    put_word(memory, count)
    if word(call + COUNTED) >= 0:
        put_word(told + 8 * word(call + COUNTED), memory)
    put_word(told + 8 * word(call + VECTORS), vectors)
    put_word(told + 8 * word(call + RESULTS), out)
    return told


@native(3)
def gather(arguments, job, thread):  # type: ignore[no-untyped-def]
    """One vector, converted, to each of its experts' others; once for all that it is alone with."""
    (x, x_stride, chosen, chosen_stride, k, experts, sorting, convert, out, out_bytes, memory,
     memory_bytes, apart) = words(arguments, 13)  # fmt: skip
    mine = memory + thread * memory_bytes
    places = sorting + LINE + (EXPERT + 8) * experts + 8 * job * k
    vector = x + job * x_stride
    alone = False
    for j in range(k):
        expert = short_word(chosen + job * chosen_stride + 4 * j)
        at = sorting + LINE + EXPERT * expert
        count, row = word(at + COUNT), word(places + 8 * j) - word(at + BEGIN)
        if count == 1 and apart == 0:
            if alone:
                continue
            alone = True
        # the kernel takes the vector from its place among all that it believes in
        told = tell(
            convert,
            expert,
            mine,
            count,
            vector - row * x_stride,
            out + word(at + INPUT) * out_bytes,
        )
        call_kernel(word(convert + KERNEL), told, row, row + 1)


@native(3)
def gate_up(arguments, job, thread):  # type: ignore[no-untyped-def]
    """act(gate x) * (up x), or act(gate x), converted, for a panel of an expert's rows."""
    (experts, sorting, panels, panel, wide, gate, up, vectors, input_bytes, act, multiply, values,
     convert, number_bytes, out, out_bytes, memory,
     memory_bytes) = words(arguments, 18)  # fmt: skip
    mine = memory + thread * memory_bytes
    a = mine + ROOM
    b = a + 4 * SLICE * panel
    expert = word(sorting + LINE + EXPERT * experts + 8 * (job // panels))
    at = sorting + LINE + EXPERT * expert
    count, part = word(at + COUNT), job % panels
    left = part * panel
    here, stride = min(panel, wide - left), 4 * panel
    x = vectors + word(at + INPUT) * input_bytes
    to = out + word(at + MIDDLE) * out_bytes + left * number_bytes
    for start in range(0, count, SLICE):
        some = min(SLICE, count - start)
        # kernels write at their columns' places among all
        told = tell(gate, expert, mine, some, x + start * input_bytes, a - 4 * left)
        call_kernel(word(gate + KERNEL), told, part, thread)
        if up != 0:
            told = tell(up, expert, mine, some, x + start * input_bytes, b - 4 * left)
            call_kernel(word(up + KERNEL), told, part, thread)
        if act != 0:
            for i, each in enumerate((a, stride, a, stride, here, 0)):
                put_word(mine + 8 * i, each)
            call_kernel(act, mine, 0, some)
        if up != 0:
            for i, each in enumerate((a, stride, b, stride, a, stride, here, values)):
                put_word(mine + 8 * i, each)
            call_kernel(multiply, mine, 0, some)
        told = tell(convert, 0, mine, count, a - start * stride, to)
        put_word(told + 8 * word(convert + COLUMNS), here)
        if word(convert + FIRST) >= 0:
            put_word(told + 8 * word(convert + FIRST), left // UNIT)
        call_kernel(word(convert + KERNEL), told, start, start + some)


@native(3)
def down(arguments, job, thread):  # type: ignore[no-untyped-def]
    """A panel of an expert's rows times what is between its matrices."""
    (sorting, experts, panels, matrix, vectors, input_bytes, out, out_stride, memory,
     memory_bytes) = words(arguments, 10)  # fmt: skip
    expert = word(sorting + LINE + EXPERT * experts + 8 * (job // panels))
    at = sorting + LINE + EXPERT * expert
    told = tell(
        matrix, expert, memory + thread * memory_bytes, word(at + COUNT),
        vectors + word(at + MIDDLE) * input_bytes, out + word(at + BEGIN) * out_stride,
    )  # fmt: skip
    call_kernel(word(matrix + KERNEL), told, job % panels, thread)


@native(3)
def combine(arguments, first, last):  # type: ignore[no-untyped-def]
    """What a vector's experts made of it, weighted, summed in the order in which it chose them."""
    (weights, weights_stride, k, experts, sorting, x, x_stride, out, out_stride,
     width) = words(arguments, 10)  # fmt: skip
    places = sorting + LINE + (EXPERT + 8) * experts
    for row in range(first, last):
        to = out + row * out_stride
        for j in range(k):
            weight = same(number("f32", weights + row * weights_stride + 4 * j))
            source = x + word(places + 8 * (row * k + j)) * x_stride
            for i in range(0, width, 16):
                left = min(16, width - i)
                v = load_some("f32", source + 4 * i, left)
                before = same(0)
                if j > 0:
                    before = load_some("f32", to + 4 * i, left)
                store_some("f32", to + 4 * i, fma(weight, v, before), left)
