"""What is done to each vector alone: norms, rotations, arithmetic, and the cache's new entries.

Every kernel takes (arguments, first, last): vectors first..last. All numbers are float32; `stride`
fields are bytes from one vector to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tramontane_backend_cpu.numba_setup import family, native
from tramontane_backend_cpu.vector.arithmetic import (
    exp,
    fma,
    lane_sum,
    larger,
    positive,
    root,
    same,
    tanh,
)
from tramontane_backend_cpu.vector.memory import (
    SIZES,
    load,
    load_some,
    number,
    put,
    store,
    store_some,
    word,
    words,
)

NORM_FIELDS = (
    "x", "x_stride", "out", "out_stride", "parts", "width", "weight", "weight_step", "eps"
)  # fmt: skip
LAYER_NORM_FIELDS = (*NORM_FIELDS, "bias")
BESIDE_FIELDS = (
    "x", "x_stride", "y", "y_stride", "out", "out_stride", "x_width", "y_width",
)  # fmt: skip
PARTS_FIELDS = ("x", "x_stride", "out", "out_stride", "parts", "step", "width")
COPY_FIELDS = ("x", "x_stride", "index", "out", "out_stride", "width")
MEDIA_FIELDS = ("x", "x_stride", "out", "out_stride", "width", "rows", "offset", "add")
ROPE_FIELDS = (
    "x", "x_stride", "out", "out_stride", "parts", "width", "turned", "angles", "index"
)  # fmt: skip
STORE_FIELDS = (
    "k", "k_stride", "v", "v_stride", "slots", "heads", "d_key", "d_value", "keys", "values"
)  # fmt: skip
UNARY_FIELDS = ("x", "x_stride", "out", "out_stride", "width", "value")
BINARY_FIELDS = ("x", "x_stride", "y", "y_stride", "out", "out_stride", "width")
GLU_FIELDS = (*BINARY_FIELDS, "values")
"""parts: heads of `width` numbers each in a vector, or 1. step: bytes from a part to the next one.
weight_step: bytes from a part's weight (and bias) to the next one's, 0 where all have the same.
eps, value: address of a float32. bias: that of a vector, or 0. index: address of the vectors to
pick, or of each vector's row of angles, int64. turned: how many of a head's numbers rotate.
angles: rows of cos, then sin, of turned / 2 angles. y_stride 0: the same y for every vector.
values: address of limit, alpha and shift."""


@native(3)
def rms_norm(arguments, first, last):  # type: ignore[no-untyped-def]
    """x / sqrt(mean(x^2) + eps) * weight, for each part."""
    x, x_stride, out, out_stride, parts, width, weights, step, eps = words(arguments, 9)
    whole = width // 16 * 16
    for row in range(first, last):
        for part in range(parts):
            a = x + row * x_stride + 4 * part * width
            b = out + row * out_stride + 4 * part * width
            weight = weights + part * step
            total = same(0)
            for i in range(0, whole, 16):
                v = load("f32", a + 4 * i)
                total = fma(v, v, total)
            if whole < width:
                v = load_some("f32", a + 4 * whole, width - whole)
                total = fma(v, v, total)
            mean = lane_sum(total) / np.float32(width)
            factor = same(np.float32(1) / np.sqrt(mean + number("f32", eps)))
            for i in range(0, whole, 16):
                v = load("f32", a + 4 * i) * factor
                store("f32", b + 4 * i, v * load("f32", weight + 4 * i))
            if whole < width:
                v = load_some("f32", a + 4 * whole, width - whole) * factor
                w = load_some("f32", weight + 4 * whole, width - whole)
                store_some("f32", b + 4 * whole, v * w, width - whole)


@native(3)
def layer_norm(arguments, first, last):  # type: ignore[no-untyped-def]
    """(x - mean) / sqrt(variance + eps) * weight + bias, for each part."""
    (x, x_stride, out, out_stride, parts, width, weights, step, eps,
     bias) = words(arguments, 10)  # fmt: skip
    for row in range(first, last):
        for part in range(parts):
            a = x + row * x_stride + 4 * part * width
            b = out + row * out_stride + 4 * part * width
            total = same(0)
            for i in range(0, width, 16):
                total = total + load_some("f32", a + 4 * i, min(16, width - i))
            mean = lane_sum(total) / np.float32(width)
            squares = same(0)
            for i in range(0, width, 16):
                v = load_some("f32", a + 4 * i, min(16, width - i)) - same(mean)
                squares = fma(v, v, squares)
            # beyond the last number, zeros had the mean subtracted
            extra = np.float32((16 - width % 16) % 16) * mean * mean
            variance = max(lane_sum(squares) - extra, np.float32(0)) / np.float32(width)
            factor = same(np.float32(1) / np.sqrt(variance + number("f32", eps)))
            for i in range(0, width, 16):
                left = min(16, width - i)
                v = (load_some("f32", a + 4 * i, left) - same(mean)) * factor
                v = v * load_some("f32", weights + part * step + 4 * i, left)
                if bias != 0:
                    v = v + load_some("f32", bias + part * step + 4 * i, left)
                store_some("f32", b + 4 * i, v, left)


@native(3)
def pick(arguments, first, last):  # type: ignore[no-untyped-def]
    """Vectors of another batch, those that `index` names."""
    x, x_stride, index, out, out_stride, width = words(arguments, 6)
    for row in range(first, last):
        a, b = x + word(index + 8 * row) * x_stride, out + row * out_stride
        for i in range(0, width, 16):
            v = load_some("f32", a + 4 * i, min(16, width - i))
            store_some("f32", b + 4 * i, v, min(16, width - i))


@native(3)
def put_media(arguments, first, last):  # type: ignore[no-untyped-def]
    """Vectors with rows of media in their places, or added to them. rows: address of, for each
    vector, its row's address, or 0. offset: bytes of a row before the numbers that are meant."""
    x, x_stride, out, out_stride, width, rows, offset, add = words(arguments, 8)
    for row in range(first, last):
        a, b, given = x + row * x_stride, out + row * out_stride, word(rows + 8 * row)
        for i in range(0, width, 16):
            left = min(16, width - i)
            v = load_some("f32", a + 4 * i, left)
            if given != 0:
                more = load_some("f32", given + offset + 4 * i, left)
                v = v + more if add != 0 else more
            store_some("f32", b + 4 * i, v, left)


@native(3)
def beside(arguments, first, last):  # type: ignore[no-untyped-def]
    """y behind x in each vector."""
    x, x_stride, y, y_stride, out, out_stride, x_width, y_width = words(arguments, 8)
    for row in range(first, last):
        a, b, to = x + row * x_stride, y + row * y_stride, out + row * out_stride
        for i in range(0, x_width, 16):
            left = min(16, x_width - i)
            store_some("f32", to + 4 * i, load_some("f32", a + 4 * i, left), left)
        to = to + 4 * x_width
        for i in range(0, y_width, 16):
            left = min(16, y_width - i)
            store_some("f32", to + 4 * i, load_some("f32", b + 4 * i, left), left)


@native(3)
def take_parts(arguments, first, last):  # type: ignore[no-untyped-def]
    """Numbers from the same place of each part of a vector, side by side."""
    x, x_stride, out, out_stride, parts, step, width = words(arguments, 7)
    for row in range(first, last):
        for part in range(parts):
            a, b = x + row * x_stride + part * step, out + row * out_stride + 4 * part * width
            for i in range(0, width, 16):
                left = min(16, width - i)
                store_some("f32", b + 4 * i, load_some("f32", a + 4 * i, left), left)


@native(3)
def rope_halves(arguments, first, last):  # type: ignore[no-untyped-def]
    """Rotate pairs (i, i + turned / 2) of each part; what does not rotate is copied."""
    x, x_stride, out, out_stride, parts, width, turned, angles, index = words(arguments, 9)
    half = turned // 2
    for row in range(first, last):
        cos = angles + 4 * turned * word(index + 8 * row)
        sin = cos + 4 * half
        for part in range(parts):
            a = x + row * x_stride + 4 * part * width
            b = out + row * out_stride + 4 * part * width
            for i in range(0, half, 16):
                left = min(16, half - i)
                c, s = load_some("f32", cos + 4 * i, left), load_some("f32", sin + 4 * i, left)
                u = load_some("f32", a + 4 * i, left)
                v = load_some("f32", a + 4 * (half + i), left)
                store_some("f32", b + 4 * i, u * c - v * s, left)
                store_some("f32", b + 4 * (half + i), v * c + u * s, left)
            for i in range(turned, width, 16):
                left = min(16, width - i)
                store_some("f32", b + 4 * i, load_some("f32", a + 4 * i, left), left)


@family
def store_kernel(kind: str) -> Any:
    """The kernel that writes keys and values into a cache of a kind of numbers: keys (blocks,
    heads, d, 16), values (blocks, heads, 16, d)."""
    size = SIZES[kind]

    def keep(arguments, first, last):  # type: ignore[no-untyped-def]
        k, k_stride, v, v_stride, slots, heads, d_key, d_value, keys, values = words(arguments, 10)
        for row in range(first, last):
            slot = word(slots + 8 * row)
            block, place = slot // 16, slot % 16
            for head in range(heads):
                a = k + row * k_stride + 4 * head * d_key
                to = keys + size * ((block * heads + head) * d_key * 16 + place)
                for i in range(d_key):
                    put(kind, to + size * 16 * i, number("f32", a + 4 * i))
                a = v + row * v_stride + 4 * head * d_value
                to = values + size * ((block * heads + head) * 16 + place) * d_value
                for i in range(0, d_value, 16):
                    left = min(16, d_value - i)
                    store_some(kind, to + size * i, load_some("f32", a + 4 * i, left), left)

    return native(3)(keep)


UNARY = (
    "silu", "gelu_tanh", "gelu", "tanh", "relu", "sigmoid", "scale", "shift", "square", "clamp",
    "at_least", "at_most", "sqrt", "rsqrt", "exp", "softplus", "relu2",
)  # fmt: skip
BINARY = ("add", "sub", "mul", "div")


@family
def unary(name: str) -> Any:
    """The kernel of a function of one vector; scale, shift and bounds also take a number."""
    silu, gelu, hyperbolic, relu = (name == n for n in ("silu", "gelu_tanh", "tanh", "relu"))
    sigmoid, scale, shift, square = (name == n for n in ("sigmoid", "scale", "shift", "square"))
    exact_gelu, clamp, softplus = name == "gelu", name == "clamp", name == "softplus"
    lower, upper = name == "at_least", name == "at_most"
    squared_relu = name == "relu2"
    square_root, reciprocal, power_of_e = name == "sqrt", name == "rsqrt", name == "exp"

    def apply(arguments, first, last):  # type: ignore[no-untyped-def]
        x, x_stride, out, out_stride, width, value = words(arguments, 6)
        for row in range(first, last):
            a, b = x + row * x_stride, out + row * out_stride
            for i in range(0, width, 16):
                left = min(16, width - i)
                v = load_some("f32", a + 4 * i, left)
                if silu:
                    v = v / (same(1) + exp(same(0) - v))
                if gelu:
                    inner = same(np.float32(0.7978845608028654)) * (
                        v + same(np.float32(0.044715)) * v * v * v
                    )
                    v = same(np.float32(0.5)) * v * (same(1) + tanh(inner))
                if exact_gelu:
                    # max(v, 0) - |v| Q(|v|), with Q of Abramowitz and Stegun 7.1.26
                    size = larger(v, same(0) - v)
                    t = same(1) / (same(1) + same(np.float32(0.3275911 * 0.5**0.5)) * size)
                    q = same(np.float32(1.061405429)) * t + same(np.float32(-1.453152027))
                    q = q * t + same(np.float32(1.421413741))
                    q = (q * t + same(np.float32(-0.284496736))) * t
                    q = (q + same(np.float32(0.254829592))) * t * same(np.float32(0.5))
                    q = q * exp(same(np.float32(-0.5)) * size * size)
                    v = positive(v) - size * q
                if clamp:
                    bound = same(number("f32", value))
                    v = same(0) - larger(same(0) - larger(v, same(0) - bound), same(0) - bound)
                if lower:
                    v = larger(same(number("f32", value)), v)
                if upper:
                    v = same(0) - larger(same(0) - same(number("f32", value)), same(0) - v)
                if hyperbolic:
                    v = tanh(v)
                if relu:
                    v = positive(v)
                if squared_relu:
                    v = positive(v) * positive(v)
                if sigmoid:
                    v = same(1) / (same(1) + exp(same(0) - v))
                if scale:
                    v = v * same(number("f32", value))
                if shift:
                    v = v + same(number("f32", value))
                if square:
                    v = v * v
                if square_root:
                    v = root(v)
                if reciprocal:
                    v = same(1) / root(v)
                if power_of_e:
                    v = exp(v)
                if softplus:
                    # max(v, 0) + log(1 + y), y = e^-|v|, by the series of 2 atanh(y / (2 + y))
                    y = exp(same(0) - larger(v, same(0) - v))
                    z = y / (same(2) + y)
                    w = z * z
                    total = same(np.float32(1 / 17))
                    for term in (15, 13, 11, 9, 7, 5, 3, 1):
                        total = fma(total, w, same(np.float32(1) / np.float32(term)))
                    v = positive(v) + same(2) * z * total
                store_some("f32", b + 4 * i, v, left)

    return native(3)(apply)


@family
def binary(name: str) -> Any:
    """The kernel of a function of two vectors."""
    add, sub, mul, div = (name == n for n in BINARY)

    def apply(arguments, first, last):  # type: ignore[no-untyped-def]
        x, x_stride, y, y_stride, out, out_stride, width = words(arguments, 7)
        for row in range(first, last):
            a, b, c = x + row * x_stride, y + row * y_stride, out + row * out_stride
            for i in range(0, width, 16):
                left = min(16, width - i)
                u, v = load_some("f32", a + 4 * i, left), load_some("f32", b + 4 * i, left)
                if add:
                    u = u + v
                if sub:
                    u = u - v
                if mul:
                    u = u * v
                if div:
                    u = u / v
                store_some("f32", c + 4 * i, u, left)

    return native(3)(apply)


@native(3)
def clamped_swiglu(arguments, first, last):  # type: ignore[no-untyped-def]
    """(u + shift) g / (1 + e^(-alpha g)), with g = min(x, limit) and u = y within the limit."""
    x, x_stride, y, y_stride, out, out_stride, width, values = words(arguments, 8)
    low = same(0) - same(number("f32", values))
    alpha, shift = same(number("f32", values + 4)), same(number("f32", values + 8))
    for row in range(first, last):
        a, b, c = x + row * x_stride, y + row * y_stride, out + row * out_stride
        for i in range(0, width, 16):
            left = min(16, width - i)
            # where both are compared, the second is what a NaN comes through
            g = same(0) - larger(low, same(0) - load_some("f32", a + 4 * i, left))
            u = larger(low, load_some("f32", b + 4 * i, left))
            u = same(0) - larger(low, same(0) - u)
            g = g / (same(1) + exp(same(0) - alpha * g))
            store_some("f32", c + 4 * i, (u + shift) * g, left)
