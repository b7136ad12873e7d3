"""Products of a backend that stands on this one, as operations of a step."""

from __future__ import annotations

from tramontane_backend_cpu.numba_setup import native
from tramontane_backend_cpu.vector.arithmetic import plus
from tramontane_backend_cpu.vector.memory import load_some, store_some, word, words
from tramontane_backend_cpu.vector.parallel import call_kernel, call_product

FIELDS = (
    "count", "rows", "panel", "input", "input_stride", "out", "stride", "bias", "add", "function",
    "state", "fewest", "own", "given", "scratch", "scratch_bytes",
)  # fmt: skip
"""function, state, fewest: of a `NativeProduct`. own, given: the kernel for fewer vectors and its
arguments, of as many rows per job. scratch: per thread, for products that a bias or what is there
is added to; with neither, 0. The others as in `dense.py`."""


@native(3)
def multiply(arguments, job, thread):  # type: ignore[no-untyped-def]
    """One panel of rows for all vectors."""
    (count_at, rows, panel, x, x_stride, out, stride, bias, add, function, state, fewest, own,
     given, scratch, scratch_bytes) = words(arguments, 16)  # fmt: skip
    count, first = word(count_at), job * panel
    last = min(rows, first + panel)
    if count < fewest:
        call_kernel(own, given, job, thread)
    elif count > 0:
        to = out + 4 * first
        if bias == 0 and add == 0:
            call_product(function, state, thread, count, x, x_stride, first, last, to, stride)
        else:
            found = scratch + thread * scratch_bytes
            call_product(function, state, thread, count, x, x_stride, first, last, found, 4 * panel)
            for row in range(count):
                for i in range(0, last - first, 16):
                    left = min(16, last - first - i)
                    value = load_some("f32", found + 4 * (row * panel + i), left)
                    if bias != 0:
                        value = plus(value, load_some("f32", bias + 4 * (first + i), left))
                    if add != 0:
                        value = plus(load_some("f32", to + row * stride + 4 * i, left), value)
                    store_some("f32", to + row * stride + 4 * i, value, left)
