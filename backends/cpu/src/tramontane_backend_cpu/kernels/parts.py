"""Operations on each part of a vector, such as a head: sums, means, softmax, and arithmetic with
one number for each part.

Every kernel takes (arguments, first, last): vectors first..last. All numbers are float32; `stride`
fields are bytes from one vector to the next. Sums have one order, whatever the other
vectors of the batch are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tramontane_backend_cpu.numba_setup import family, native
from tramontane_backend_cpu.vector.arithmetic import exp, lane_most, lane_sum, larger, only, same
from tramontane_backend_cpu.vector.memory import (
    load_some,
    number,
    put,
    store_some,
    words,
)

FIELDS = ("x", "x_stride", "out", "out_stride", "parts", "width")
BINARY_FIELDS = ("x", "x_stride", "y", "y_stride", "out", "out_stride", "parts", "width")
"""parts: vectors of `width` numbers that each vector of x has. y: one number for each part."""
REDUCTIONS = ("mean", "sum", "largest")
BINARY = ("add_parts", "sub_parts", "mul_parts", "div_parts")


@family
def reduction(name: str) -> Any:
    """The kernel of a sum or a mean over each part, or of its largest number, out (parts)."""
    mean, most = name == "mean", name == "largest"

    def apply(arguments, first, last):  # type: ignore[no-untyped-def]
        x, x_stride, out, out_stride, parts, width = words(arguments, 6)
        for row in range(first, last):
            for part in range(parts):
                a = x + row * x_stride + 4 * part * width
                if most:
                    largest = only(load_some("f32", a, min(16, width)), 0, min(16, width))
                    for i in range(16, width, 16):
                        left = min(16, width - i)
                        v = only(load_some("f32", a + 4 * i, left), 0, left)
                        largest = larger(v, largest)
                    value = lane_most(largest)
                else:
                    total = same(0)
                    for i in range(0, width, 16):
                        total = total + load_some("f32", a + 4 * i, min(16, width - i))
                    value = lane_sum(total)
                if mean:
                    value = value / np.float32(width)
                put("f32", out + row * out_stride + 4 * part, value)

    return native(3)(apply)


@native(3)
def softmax(arguments, first, last):  # type: ignore[no-untyped-def]
    """e^(x - max) / sum of these, for each part."""
    x, x_stride, out, out_stride, parts, width = words(arguments, 6)
    for row in range(first, last):
        for part in range(parts):
            a = x + row * x_stride + 4 * part * width
            b = out + row * out_stride + 4 * part * width
            largest = only(load_some("f32", a, min(16, width)), 0, min(16, width))
            for i in range(16, width, 16):
                left = min(16, width - i)
                largest = larger(only(load_some("f32", a + 4 * i, left), 0, left), largest)
            maximum = same(lane_most(largest))
            total = same(0)
            for i in range(0, width, 16):
                left = min(16, width - i)
                v = exp(only(load_some("f32", a + 4 * i, left), 0, left) - maximum)
                total = total + v
                store_some("f32", b + 4 * i, v, left)
            divisor = same(lane_sum(total))
            for i in range(0, width, 16):
                left = min(16, width - i)
                store_some("f32", b + 4 * i, load_some("f32", b + 4 * i, left) / divisor, left)


@family
def binary(name: str) -> Any:
    """The kernel of arithmetic between each part and its number."""
    add, sub, mul, div = (name == n for n in BINARY)

    def apply(arguments, first, last):  # type: ignore[no-untyped-def]
        x, x_stride, y, y_stride, out, out_stride, parts, width = words(arguments, 8)
        for row in range(first, last):
            for part in range(parts):
                v = same(number("f32", y + row * y_stride + 4 * part))
                a = x + row * x_stride + 4 * part * width
                b = out + row * out_stride + 4 * part * width
                for i in range(0, width, 16):
                    left = min(16, width - i)
                    u = load_some("f32", a + 4 * i, left)
                    if add:
                        u = u + v
                    if sub:
                        u = u - v
                    if mul:
                        u = u * v
                    if div:
                        u = u / v
                    store_some("f32", b + 4 * i, u, left)

    return native(3)(apply)
