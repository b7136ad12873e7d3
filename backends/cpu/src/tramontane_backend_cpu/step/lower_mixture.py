"""What the kernels of experts are told. How many jobs they have, the step finds out itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tramontane.blocks import BiasedRouter, StackedLinear
from tramontane.layouts import Dense

from tramontane_backend_cpu.kernels import dense, matmul, mixture, quantize, routing, rows
from tramontane_backend_cpu.packing import Interleaved
from tramontane_backend_cpu.row_orders import biases_of
from tramontane_backend_cpu.vector.target import SET
from tramontane_backend_cpu.vector.tiles import ROWS, UNIT

from .graph import Node, Ref, Value
from .inputs import Inputs
from .memory import Buffers, address, row_bytes
from .mixture import Sorting
from .products import (
    Operation,
    affine_operation,
    arguments,
    conversion,
    dense_operation,
    packed_arrays,
)

PANEL = 128 << 10
"""Bytes of weights per job and matrix, about."""
LEAST_JOBS = 24
"""Jobs that one row's experts are cut into, if they have rows enough."""
COUNTS = 2
"""Of each sorting: experts that have rows, and rows that are still to be gathered."""


def _route(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    module, sorting = node.of["module"], node.of["sorting"]
    (scores, scores_stride), (out, out_stride) = buffers.place(node.inputs[0]), _out(node, buffers)
    biased, balance = isinstance(module, BiasedRouter), module.balance
    groups, taken = getattr(module, "groups", (1, 1))
    factors = module.factors
    memory = routing.memory_bytes(sorting.experts)
    gather = _gather(node.of["gather"], buffers, inputs)
    assert node.output is not None
    told = arguments(
        routing.FIELDS, scores=scores, scores_stride=scores_stride, experts=sorting.experts,
        k=sorting.k, groups=groups, taken=taken, normalize=int(module.normalize),
        scale=inputs.keep(np.array([module.scale], np.float32)),
        balance=0 if balance is None else inputs.keep(balance.detach().float().numpy()),
        factors=0 if factors is None else inputs.keep(factors.detach().float().numpy()),
        out=out, out_stride=out_stride, memory=inputs.room(memory), memory_bytes=memory,
        sorting=_table(sorting, inputs), count=inputs.count_at(node.output.domain),
        counts=inputs.count_at(_count(sorting, inputs)), gather=gather.kernel,
        gathered=inputs.keep(gather.arguments), tile=SET.tile, apart=int(_is_apart(sorting)),
    )  # fmt: skip
    return Operation(routing.router(biased).address, told, node.output.domain, 1)


def _gather(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    sorting: Sorting = node.of["sorting"]
    (x, x_stride), (chosen, chosen_stride) = (buffers.place(ref) for ref in node.inputs)
    out, out_bytes = _out(node, buffers)
    memory = mixture.memory_bytes(0)
    told = arguments(
        mixture.GATHER_FIELDS, x=x, x_stride=x_stride, chosen=chosen, chosen_stride=chosen_stride,
        k=sorting.k, experts=sorting.experts, sorting=_table(sorting, inputs),
        convert=_conversion(node.output, x_stride, inputs, sorting.orders), out=out,
        out_bytes=out_bytes, memory=inputs.room(memory), memory_bytes=memory,
        apart=int(_is_apart(sorting)),
    )  # fmt: skip
    return Operation(mixture.gather.address, told, _count(sorting, inputs) + 1, 1)


def _gate_up(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    module, sorting = node.of["module"], node.of["sorting"]
    (x, input_bytes), (out, out_bytes) = buffers.place(node.inputs[0]), _out(node, buffers)
    assert node.output is not None
    assert node.inputs[0].value is not None
    wide, form = node.output.width, node.output.form
    panel = _panel(module.up_proj, wide, sorting.k)
    memory = mixture.memory_bytes(panel)
    gate, *up = (
        _matrices(part, panel, node.inputs[0].value, 4 * panel, inputs) for part in module.first
    )
    jobs = -(-wide // panel)
    act, glu = node.of["act"], node.of["glu"]  # the module's may be a kernel by now
    join = rows.binary("mul") if act else rows.clamped_swiglu
    values = 0 if act else inputs.keep(np.array([glu.limit, glu.alpha, glu.shift], np.float32))
    told = arguments(
        mixture.GATE_UP_FIELDS, experts=sorting.experts, sorting=_table(sorting, inputs),
        panels=jobs, panel=panel, wide=wide, gate=gate, up=up[0] if up else 0, input=x,
        input_bytes=input_bytes,
        act=rows.unary(act).address if act else 0, multiply=join.address, values=values,
        convert=_conversion(node.output, 4 * panel, inputs),
        number={"f32": 4, "bf16": 2}.get(form, 0), out=out, out_bytes=out_bytes,
        memory=inputs.room(memory), memory_bytes=memory,
    )  # fmt: skip
    return Operation(mixture.gate_up.address, told, _count(sorting, inputs), jobs)


def _down(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    module, sorting = node.of["module"], node.of["sorting"]
    (x, input_bytes), (out, out_stride) = buffers.place(node.inputs[0]), _out(node, buffers)
    assert node.output is not None
    assert node.inputs[0].value is not None
    panel = _panel(module.down_proj, node.output.width, sorting.k)
    memory = mixture.memory_bytes(0)
    jobs = -(-node.output.width // panel)
    told = arguments(
        mixture.DOWN_FIELDS, sorting=_table(sorting, inputs), experts=sorting.experts, panels=jobs,
        down=_matrices(module.down_proj, panel, node.inputs[0].value, out_stride, inputs),
        input=x, input_bytes=input_bytes, out=out, out_stride=out_stride,
        memory=inputs.room(memory), memory_bytes=memory,
    )  # fmt: skip
    return Operation(mixture.down.address, told, _count(sorting, inputs), jobs)


def _combine(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    sorting: Sorting = node.of["sorting"]
    (x, x_stride), (weights, weights_stride), _ = (buffers.place(ref) for ref in node.inputs)
    out, out_stride = _out(node, buffers)
    assert node.output is not None
    told = arguments(
        mixture.COMBINE_FIELDS, weights=weights, weights_stride=weights_stride, k=sorting.k,
        experts=sorting.experts, sorting=_table(sorting, inputs), x=x, x_stride=x_stride,
        out=out, out_stride=out_stride, width=node.output.width,
    )  # fmt: skip
    return Operation(mixture.combine.address, told)


LOWERINGS: dict[str, Callable[[Node, Buffers, Inputs], Operation]] = {
    "route": _route, "gather": _gather, "gate_up": _gate_up, "down": _down, "combine": _combine,
}  # fmt: skip


def _out(node: Node, buffers: Buffers) -> tuple[int, int]:
    value = node.output
    assert value is not None
    return buffers.place(Ref(value, 0, value.width))


def _table(sorting: Sorting, inputs: Inputs) -> int:
    """Address of what a sorting leaves."""
    words = routing.sorting_words(sorting.experts, sorting.k, inputs.tokens)
    return inputs.table(sorting, words)


def _count(sorting: Sorting, inputs: Inputs) -> int:
    """Which of the step's counts are the sorting's."""
    return inputs.FURTHER + COUNTS * sorting.number


def _panel(stack: StackedLinear, width: int, k: int) -> int:
    """Columns of results per job: whole units, about as many in each."""
    row = sum(tensor.nbytes for tensor in stack.weight.tensors().values()) // stack.weight.shape[0]
    most = max(UNIT, min(PANEL // row, width * k // LEAST_JOBS))
    panels = -(-width // most)
    return -(-width // panels // UNIT) * UNIT


def _is_apart(sorting: Sorting) -> bool:
    return sorting.orders is not None and len(sorting.orders) > 1


def _conversion(value: Value | None, stride: int, inputs: Inputs, orders: Any = None) -> int:
    """Address of a CALL that puts rows of float32, `stride` bytes apart, into a value's form.
    orders: of all experts' columns or of each, (parts, columns), or None."""
    assert value is not None
    if value.form in ("int8", "plain"):
        given = [None] if orders is None else list(orders)
        made = [
            conversion(
                order, value.form == "plain", count=0, units=-(-value.width // UNIT),
                columns=value.width, x=0, stride=stride, out=0,
            )
            for order in given
        ]  # fmt: skip
        if orders is not None:
            inputs.keep(orders)
        fields: tuple[str, ...] = quantize.FIELDS
        if orders is not None:
            fields = quantize.ORDERED_FIELDS
        told = np.stack([each.arguments for each in made])
        return _call(made[0].kernel, told, fields, "x", inputs)
    fields = dense.ROUND_FIELDS
    told = arguments(
        fields, x=0, stride=stride, out=0, out_stride=row_bytes(value), columns=value.width
    )
    return _call(dense.rounded(value.form).address, told[None], fields, "x", inputs)


def _matrices(stack: StackedLinear, panel: int, value: Value, stride: int, inputs: Inputs) -> int:
    """Address of a CALL that multiplies one expert's matrix with its rows. stride: of results."""
    shared = {"count": 0, "out": 0, "stride": stride, "input": 0, "bias": 0, "add": 0}
    weight: Any = stack.weight
    count = stack.count
    rows = weight.shape[0] // count
    if isinstance(weight, Interleaved):
        fields: tuple[str, ...] = matmul.FIELDS
        one, exact = weight.rows(slice(0, rows)), value.form == "plain"
        first = affine_operation(one, exact, shared, inputs.room, panel // ROWS)
        told = np.tile(first.arguments, (count, 1))
        for name, at in packed_arrays(weight.packed).items():
            if at:
                step = rows // ROWS * weight.packed.arrays[name].strides[0]
                told[:, fields.index(name)] += np.arange(count) * step
    else:
        assert isinstance(weight, Dense)
        fields = dense.FIELDS
        alone = Dense(weight.data[:rows])
        first = dense_operation(alone, row_bytes(value), value.form == "bf16", shared)
        told = np.tile(first.arguments, (count, 1))
        step = rows * weight.data.stride(0) * weight.data.element_size()
        told[:, fields.index("weight")] += np.arange(count) * step
        told[:, fields.index("panel")] = panel
    if (biases := biases_of(stack)) is not None:
        told[:, fields.index("bias")] = inputs.keep(biases) + biases.strides[0] * np.arange(count)
    return _call(first.kernel, told, fields, "input", inputs)


def _call(kernel: int, told: Any, fields: tuple[str, ...], vectors: str, inputs: Inputs) -> int:
    """What `tell` in kernels/mixture.py reads: told has a row for each expert."""

    def place(name: str) -> int:
        return fields.index(name) if name in fields else -1

    assert 8 * (1 + len(fields)) <= mixture.ROOM
    inputs.keep(told)
    call = arguments(
        mixture.CALL, kernel=kernel, arguments=address(told), words=len(fields),
        each=told.strides[0] if len(told) > 1 else 0, count=place("count"), input=place(vectors),
        out=place("out"), columns=place("columns"), begin=place("begin"),
    )  # fmt: skip
    return inputs.keep(call)
