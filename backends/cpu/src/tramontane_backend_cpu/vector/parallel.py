"""What threads need of each other, and calls through addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from tramontane_backend_cpu.processor import architecture

from . import instruction_set as llvm
from .operation import Emit, operation, types


@operation(lambda address, value: types.int64)
def fetch_add(emit: Emit, address: Any, value: Any) -> Any:
    """Add to a 64-bit integer that others change too; returns what it was."""
    pointer = emit.at(address, 0, llvm.LONG)
    return emit.builder.atomic_rmw("add", pointer, emit.integer(value), "seq_cst")


@operation(lambda address: types.int64)
def watch(emit: Emit, address: Any) -> Any:
    """A 64-bit integer that others change."""
    return emit.builder.load_atomic(emit.at(address, 0, llvm.LONG), "acquire", 8)


@operation(lambda address, value: types.void)
def announce(emit: Emit, address: Any, value: Any) -> None:
    """Set a 64-bit integer that others watch."""
    emit.builder.store_atomic(emit.integer(value), emit.at(address, 0, llvm.LONG), "release", 8)


@operation(lambda address, value: types.int64)
def swap(emit: Emit, address: Any, value: Any) -> Any:
    """Set a 64-bit integer that others watch; returns what it was. All threads and processes see
    it, and every `watch_in_order`, in the same order: a store alone could be seen after a later
    load of the same thread."""
    pointer = emit.at(address, 0, llvm.LONG)
    return emit.builder.atomic_rmw("xchg", pointer, emit.integer(value), "seq_cst")


@operation(lambda address: types.int64)
def watch_in_order(emit: Emit, address: Any) -> Any:
    """A 64-bit integer that others change; see `swap`."""
    return emit.builder.load_atomic(emit.at(address, 0, llvm.LONG), "seq_cst", 8)


@operation(lambda: types.void)
def pause(emit: Emit) -> None:
    """Tell the processor that this loop waits."""
    machine = architecture()
    if machine == "x86_64":
        emit.call("llvm.x86.sse2.pause", ir.VoidType(), [])
    elif machine == "aarch64":
        # it takes about as long as the other; Arm's own word for this, yield, takes no time at all
        emit.call("llvm.aarch64.isb", ir.VoidType(), [llvm.INT(15)])


@operation(lambda function: types.void)
def call_plain(emit: Emit, function: Any) -> None:
    """Call what takes nothing and returns an int, such as sched_yield; 0: do nothing."""
    present = emit.builder.icmp_signed("!=", function, llvm.LONG(0))
    with emit.builder.if_then(present):
        _call(emit, function, [], llvm.INT)


@operation(lambda function, file, address, count, offset: types.int64)
def call_read(
    emit: Emit, function: Any, file: Any, address: Any, count: Any, offset: Any
) -> Any:  # fmt: skip
    """pread(file, address, count, offset): how many bytes came, or less than 0."""
    return _call(emit, function, [file, address, count, offset], llvm.LONG, ints=(0,))


@operation(lambda function, file, address, count: types.int64)
def call_transfer(emit: Emit, function: Any, file: Any, address: Any, count: Any) -> Any:
    """read or write(file, address, count): how many bytes went, or less than 0."""
    return _call(emit, function, [file, address, count], llvm.LONG, ints=(0,))


@operation(lambda function, files, count, milliseconds: types.int64)
def call_poll(emit: Emit, function: Any, files: Any, count: Any, milliseconds: Any) -> Any:
    """poll(files, count, milliseconds): how many have something to say, or less than 0."""
    found = _call(emit, function, [files, count, milliseconds], llvm.INT, ints=(2,))
    return emit.builder.sext(found, llvm.LONG)


@operation(lambda function, arguments, first, last: types.void)
def call_kernel(emit: Emit, function: Any, arguments: Any, first: Any, last: Any) -> None:
    """kernel(arguments, first, last)."""
    _call(emit, function, [arguments, first, last])


@operation(
    lambda function, arguments, blocks, end, tiles, last, input, row, left, right,
    partial: types.void
)  # fmt: skip
def call_tile(
    emit: Emit, function: Any, arguments: Any, blocks: Any, end: Any, tiles: Any, last: Any,
    input: Any, row: Any, left: Any, right: Any, partial: Any,
) -> None:  # fmt: skip
    """A matrix kernel; see `kernels/matmul.py`."""
    told = [arguments, blocks, end, tiles, last, input, row, left, right, partial]
    _call(emit, function, told)


@operation(lambda function, arguments, scratch, tile, head, begin, end: types.void)
def call_attention(
    emit: Emit,
    function: Any,
    arguments: Any,
    scratch: Any,
    tile: Any,
    head: Any,
    begin: Any,
    end: Any,
) -> None:
    """An attention kernel; see `kernels/attention.py`."""
    _call(emit, function, [arguments, scratch, tile, head, begin, end])


@operation(
    lambda function, state, thread, count, x, x_stride, first, last, out, out_stride: types.void
)
def call_product(
    emit: Emit, function: Any, state: Any, thread: Any, count: Any, x: Any, x_stride: Any,
    first: Any, last: Any, out: Any, out_stride: Any,
) -> None:  # fmt: skip
    """A `tramontane.native_product.NativeProduct`."""
    _call(emit, function, [state, thread, count, x, x_stride, first, last, out, out_stride])


def _call(
    emit: Emit, function: Any, values: list[Any], result: Any = None, ints: Sequence[int] = ()
) -> Any:
    """Call a function at an address. result: its type; None: it has none. ints: which of the values
    it takes as C's int; the others are 64-bit integers."""
    kinds = [llvm.INT if place in ints else llvm.LONG for place in range(len(values))]
    kind = ir.FunctionType(ir.VoidType() if result is None else result, kinds)
    told = [emit.integer(value) for value in values]
    for place in ints:
        told[place] = emit.builder.trunc(told[place], llvm.INT)
    return emit.builder.call(emit.builder.inttoptr(function, kind.as_pointer()), told)
