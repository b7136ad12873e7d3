"""Which kernel does an operation, and what it is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tramontane.engine.kv_codes import INT4
from tramontane.layouts import Dense, Layout

from tramontane_backend_cpu.kernels import attention as attention_kernels
from tramontane_backend_cpu.kernels import (
    coded,
    dense,
    gated,
    lookup,
    matmul,
    nibbles,
    quantize,
    rows,
)
from tramontane_backend_cpu.packing import KINDS, Interleaved, Packed
from tramontane_backend_cpu.vector.target import SET
from tramontane_backend_cpu.vector.tiles import PLAIN_UNIT_BYTES, ROWS, UNIT, UNIT_BYTES

from .graph import CannotRecord, Node, Ref, Value
from .inputs import Inputs
from .memory import Buffers, address, rows_at

FLOATS = ("f32", "f16", "bf16")
CACHE_KINDS = {
    **KINDS, INT4: "i4", torch.float8_e4m3fn: "e4m3", torch.float8_e5m2: "e5m2",
}  # fmt: skip
"""Of keys and values."""
STORES = {"i8": coded.store_codes, "i4": nibbles.store_nibbles}
"""What writes codes into a cache."""
PLAIN = tuple(dtype for dtype, kind in KINDS.items() if kind in FLOATS)
"""Of plain matrices that kernels read."""
CACHE_SHARE = 384 << 10
"""Bytes of vectors that matrices work on at a time: they stay in a core's second-level cache."""
STRETCH = 64
"""Units of a row that vectors are multiplied with at a time, about: a block's codes stay in the
first-level cache."""
GATED_VECTORS = 128
"""Vectors at a time whose two products are joined, at most."""
PANEL = 256 << 10
"""Bytes of weights per job, about."""
LEAST_JOBS = 24
"""Jobs that a matrix is cut into if it has rows enough, so that threads end together."""


@dataclass(frozen=True)
class Operation:
    """A kernel's address and arguments. counted: which of the step's counts multiplies `jobs`, or
    -1."""

    kernel: int
    arguments: Any
    counted: int = -1
    jobs: int = 0


def form_of(node: Node, exact: bool) -> str:
    """What form of vectors a matrix reads. Raises CannotRecord."""
    return form_for(node.of["module"].weight, exact or node.of.get("exact", False))


def form_for(weight: Layout, exact: bool) -> str:
    """The same, of a matrix."""
    if isinstance(weight, Interleaved):
        return "plain" if exact or weight.packed.packing.plain_only else "int8"
    if isinstance(weight, Dense) and weight.data.dtype in PLAIN:
        return "bf16" if weight.kind == "bfloat16" and SET.bf16 and not exact else "f32"
    raise CannotRecord(f"a matrix of {weight.kind}")


def table(operations: list[Operation]) -> Any:
    """Operations as the interpreter reads them; they must live as long."""
    rows = [(o.kernel, address(o.arguments), o.counted, o.jobs) for o in operations]
    return np.array(rows, np.int64)


def refuse(node: Node) -> None:
    """Raises CannotRecord for an operation that has no kernel."""
    if node.name not in (*LOWERINGS, *rows.UNARY, *rows.BINARY):
        raise CannotRecord(node.name)
    if node.name == "lookup":
        weight = node.of["module"].weight
        dense = isinstance(weight, Dense) and weight.data.dtype in PLAIN
        if not (dense or isinstance(weight, Interleaved)):
            raise CannotRecord(f"a table of {weight.kind}")


def lower(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    """A bound operation, of those that are not refused."""
    other = _unary if node.name in rows.UNARY else _binary
    return LOWERINGS.get(node.name, other)(node, buffers, inputs)


def arguments(fields: tuple[str, ...], **values: int) -> Any:
    """A kernel's arguments in the order of its fields."""
    assert set(values) == set(fields), set(values) ^ set(fields)
    return np.array([values[name] for name in fields], np.int64)


def _output(node: Node) -> Value:
    assert node.output is not None
    return node.output


def _number(inputs: Inputs, value: float) -> int:
    return inputs.keep(np.array([value], np.float32))


def _vector(inputs: Inputs, tensor: Any) -> int:
    return inputs.keep(np.ascontiguousarray(tensor.detach().float().numpy().reshape(-1)))


def _lookup(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    out, stride = buffers.place(_whole(node))
    weight = node.of["module"].weight
    ids = inputs.positions_at if node.of["positions"] else inputs.tokens_at
    if isinstance(weight, Interleaved):
        packed = weight.packed
        told = arguments(
            lookup.FIELDS, tokens=ids, out=out, stride=stride, columns=packed.columns,
            units=packed.units, groups=packed.groups, supers=packed.supers, **packed_arrays(packed),
        )  # fmt: skip
        return Operation(lookup.lookup(packed.packing).address, told)
    table = weight.data
    names = ("tokens", "table", "columns", "out", "stride")
    told = arguments(names, tokens=ids, table=rows_at(table),
                     columns=table.shape[1], out=out, stride=stride)  # fmt: skip
    return Operation(dense.lookup(KINDS[table.dtype]).address, told)


def _rms_norm(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    told = arguments(rows.NORM_FIELDS, **_norm(node, buffers, inputs))
    return Operation(rows.rms_norm.address, told)


def _layer_norm(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    bias = getattr(node.of["module"], "bias", None)
    told = arguments(
        rows.LAYER_NORM_FIELDS, **_norm(node, buffers, inputs),
        bias=0 if bias is None else _vector(inputs, bias),
    )  # fmt: skip
    return Operation(rows.layer_norm.address, told)


def _norm(node: Node, buffers: Buffers, inputs: Inputs) -> dict[str, int]:
    """The fields that both norms have."""
    (x, x_stride), (out, out_stride) = buffers.place(node.inputs[0]), buffers.place(_whole(node))
    module, width = node.of["module"], node.of["width"]
    return {
        "x": x, "x_stride": x_stride, "out": out, "out_stride": out_stride, "width": width,
        "parts": _output(node).width // width, "weight": _vector(inputs, module.weight),
        "weight_step": 4 * width if module.weight.dim() == 2 else 0,
        "eps": _number(inputs, module.eps),
    }  # fmt: skip


def _rope(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (x, x_stride), (out, out_stride) = buffers.place(node.inputs[0]), buffers.place(_whole(node))
    rope, width = node.of["rope"], node.of["width"]
    angles = inputs.angles(rope)
    told = arguments(
        rows.ROPE_FIELDS, x=x, x_stride=x_stride, out=out, out_stride=out_stride,
        parts=_output(node).width // width, width=width, turned=rope.dim,
        angles=angles.at, index=angles.index_at,
    )  # fmt: skip
    return Operation(rows.rope_halves.address, told)


def _store(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (k, k_stride), (v, v_stride) = (buffers.place(ref) for ref in node.inputs)
    layer = inputs.cache.layers[node.of["layer"]]
    slots, _ = inputs.places_of(layer)
    told = arguments(
        rows.STORE_FIELDS, k=k, k_stride=k_stride, v=v, v_stride=v_stride, slots=slots,
        heads=node.of["heads"], d_key=node.of["d_key"], d_value=node.of["d_value"],
        keys=layer.keys.data_ptr(), values=layer.values.data_ptr(),
    )  # fmt: skip
    kind = CACHE_KINDS[layer.stored]
    kernel = STORES[kind] if kind in STORES else rows.store_kernel(kind)
    return Operation(kernel.address, told)


def _pick(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (x, x_stride), (out, out_stride) = buffers.place(node.inputs[0]), buffers.place(_whole(node))
    told = arguments(
        rows.COPY_FIELDS, x=x, x_stride=x_stride, index=inputs.wanted_at, out=out,
        out_stride=out_stride, width=_output(node).width,
    )  # fmt: skip
    return Operation(rows.pick.address, told)


def _convert(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (x, stride), (out, out_stride) = buffers.place(node.inputs[0]), buffers.place(_whole(node))
    value = _output(node)
    if value.form == "bf16":
        told = arguments(dense.ROUND_FIELDS, x=x, stride=stride, out=out, out_stride=out_stride,
                         columns=value.width)  # fmt: skip
        return Operation(dense.rounded(value.form).address, told)
    told = arguments(
        quantize.FIELDS, count=inputs.count_at(value.domain), tile=SET.tile,
        units=-(-value.width // UNIT), columns=value.width, x=x, stride=stride, out=out,
        begin=0,
    )  # fmt: skip
    return Operation(quantize.quantizer(value.form == "plain").address, told)


def _linear(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    module = node.of["module"]
    (x, x_stride), (out, stride) = buffers.place(node.inputs[0]), buffers.place(_whole(node))
    value = node.inputs[0].value
    assert value is not None
    shared = {
        "count": inputs.count_at(value.domain), "out": out, "stride": stride, "input": x,
        "bias": 0 if module.bias is None else _vector(inputs, module.bias),
        "add": int("add_to" in node.of),
    }  # fmt: skip
    weight = module.weight
    if isinstance(weight, Interleaved):
        return affine_operation(weight, value.form == "plain", shared, inputs.room)
    return dense_operation(weight, x_stride, value.form == "bf16", shared)


def dense_operation(
    weight: Dense, x_stride: int, rounded: bool, shared: dict[str, int]
) -> Operation:
    """A plain matrix times vectors. rounded: whether they are bfloat16."""
    kind = KINDS[weight.data.dtype]
    across, deep = SET.dense_tile
    n_rows, columns = weight.shape
    weight_stride = columns * weight.data.element_size()
    panel = panel_of(n_rows, weight_stride, across)
    at_once = min(columns, dense.DEPTH) * x_stride // columns
    told = arguments(
        dense.FIELDS, rows=n_rows, panel=panel, columns=columns, weight=rows_at(weight.data),
        weight_stride=weight_stride, input_stride=x_stride,
        vectors_at_once=max(1, CACHE_SHARE // at_once // deep) * deep, **shared,
    )  # fmt: skip
    kernel = dense.dense_kernel("bf16.bf16" if rounded else kind)
    return Operation(kernel.address, told, -1, -(-n_rows // panel))


def affine_operation(
    weight: Interleaved,
    exact: bool,
    shared: dict[str, int],
    room: Callable[[int], int],
    panel: int | None = None,
) -> Operation:
    """A packed matrix times vectors. shared: what does not come from the matrix. room: (bytes) ->
    address of so many for each thread. panel: blocks of rows per job."""
    packed = weight.packed
    unit = PLAIN_UNIT_BYTES if exact else UNIT_BYTES
    if panel is None:
        panel = panel_of(packed.blocks, packed.nbytes // packed.blocks, 1)
    stretch = stretch_of(packed)
    at_once = max(1, CACHE_SHARE // (SET.tile * stretch * unit))
    partial = 4 * ROWS * panel * at_once * SET.tile if stretch < packed.units else 0
    told = arguments(
        matmul.FIELDS, blocks=packed.blocks, panel=panel, units=packed.units, tile=SET.tile,
        tile_unit_bytes=unit, tiles_at_once=at_once, stretch=stretch,
        partials=room(partial) if partial else 0, partial_bytes=partial,
        single=matmul.affine_kernel(packed.packing, 1, exact).address,
        whole=matmul.affine_kernel(packed.packing, SET.tile, exact).address,
        columns_rows=packed.rows, supers=packed.supers, steps=packed.steps, **packed_arrays(packed),
        **shared,
    )  # fmt: skip
    return Operation(matmul.matmul.address, told, -1, -(-packed.blocks // panel))


def stretch_of(packed: Packed) -> int:
    """Units of a row that many vectors are multiplied with at a time: whole groups, or whole groups
    of groups where scales have scales."""
    whole = max(1, packed.packing.group // UNIT)
    if packed.packing.above:
        whole = packed.units // packed.supers
    return min(packed.units, max(whole, STRETCH // whole * whole))


def _gated(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (x, _), (out, _) = buffers.place(node.inputs[0]), buffers.place(_whole(node))
    source, result = node.inputs[0].value, _output(node)
    assert source is not None
    matrices: dict[str, int] = {}
    exact = source.form == "plain"
    count = inputs.count_at(source.domain)
    for name in ("gate", "up"):
        module = node.of[name]
        shared = {
            "count": count, "out": 0, "stride": 0, "input": x, "add": 0,
            "bias": 0 if module.bias is None else _vector(inputs, module.bias),
        }  # fmt: skip
        told = affine_operation(module.weight, exact, shared, lambda size: 0).arguments
        single, whole = (told[matmul.FIELDS.index(kernel)] for kernel in ("single", "whole"))
        matrices |= {name: inputs.keep(told), f"{name}_single": single, f"{name}_whole": whole}
    packed = [node.of[name].weight.packed for name in ("gate", "up")]
    blocks, units = packed[0].blocks, packed[0].units
    unit = PLAIN_UNIT_BYTES if exact else UNIT_BYTES
    panel = panel_of(blocks, sum(each.nbytes for each in packed) // blocks, max(1, UNIT // ROWS))
    stretch = math.lcm(*(stretch_of(each) for each in packed))
    stretch = units if stretch >= units else stretch
    at_once = max(1, min(CACHE_SHARE // (stretch * unit), GATED_VECTORS) // SET.tile)
    scratch = gated.scratch_bytes(panel, at_once * SET.tile)
    told = arguments(
        gated.FIELDS, count=count, blocks=blocks, panel=panel, units=units, tile=SET.tile,
        tile_unit_bytes=unit, tiles_at_once=at_once, stretch=stretch, input=x, out=out,
        activation=rows.unary(node.of["activation"]).address, scratch=inputs.room(scratch),
        scratch_bytes=scratch, out_units=result.width // UNIT, **matrices,
    )  # fmt: skip
    kernel = gated.gated(result.form == "plain")
    return Operation(kernel.address, told, -1, -(-blocks // panel))


def panel_of(count: int, size: int, step: int) -> int:
    """Rows, or blocks of rows, per job: `count` of `size` bytes, in multiples of `step`."""
    most = max(1, min(PANEL // max(size, 1), count // LEAST_JOBS))
    return max(step, most // step * step)


def _attention(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (q, q_stride), (out, out_stride) = buffers.place(node.inputs[0]), buffers.place(_whole(node))
    of = node.of
    layer = inputs.cache.layers[of["layer"]]
    kv_heads, d_key, d_value = layer.kv_heads, layer.d_key, layer.d_value
    heads = node.inputs[0].width // d_key
    sinks = of.get("sinks")
    kind = CACHE_KINDS[layer.stored]
    _, tables = inputs.places_of(layer)
    few, many = SET.attention_tiles
    asked = of.get("asked")
    told = arguments(
        attention_kernels.FIELDS, tiles=inputs.tiles_at, tables=tables,
        splits=inputs.splits_at, heads=heads, kv_heads=kv_heads, d_key=d_key, d_value=d_value, q=q,
        q_stride=q_stride, out=out, out_stride=out_stride, keys=layer.keys.data_ptr(),
        values=layer.values.data_ptr(), scale=_number(inputs, of["scale"]),
        window=of.get("window") or 0, cap=_number(inputs, of.get("softcap") or 0.0),
        sinks=0 if sinks is None else _vector(inputs, sinks),
        slopes=_slopes(inputs, of.get("alibi")),
        few=attention_kernels.split_kernel(kind, few, asked is not None).address,
        many=attention_kernels.split_kernel(kind, many, asked is not None).address,
        asked=0 if asked is None else inputs.keep(asked),
        **inputs.scratch(heads // kv_heads, kv_heads, d_key, d_value),
    )  # fmt: skip
    if node.name == "merge_splits":
        return Operation(attention_kernels.merge_splits.address, told, inputs.MERGES, kv_heads)
    return Operation(
        attention_kernels.attention(kind if kind in STORES else "").address,
        told,
        inputs.ATTENTIONS,
        kv_heads,
    )


def _slopes(inputs: Inputs, alibi: Any) -> int:
    """What scores lose per token of distance, behind the numbers of a register's lanes."""
    if alibi is None:
        return 0
    return inputs.keep(np.concatenate((np.arange(16), np.asarray(alibi))).astype(np.float32))


def _unary(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (x, x_stride), (out, out_stride) = buffers.place(node.inputs[0]), buffers.place(_whole(node))
    told = arguments(
        rows.UNARY_FIELDS, x=x, x_stride=x_stride, out=out, out_stride=out_stride,
        width=_output(node).width, value=_number(inputs, node.of.get("value", 0.0)),
    )  # fmt: skip
    return Operation(rows.unary(node.name).address, told)


def _binary(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (x, x_stride), (y, y_stride) = (buffers.place(ref) for ref in node.inputs)
    out, out_stride = buffers.place(_whole(node))
    told = arguments(
        rows.BINARY_FIELDS, x=x, x_stride=x_stride, y=y, y_stride=y_stride, out=out,
        out_stride=out_stride, width=_output(node).width,
    )  # fmt: skip
    return Operation(rows.binary(node.name).address, told)


def packed_arrays(packed: Any) -> dict[str, int]:
    names = ("low", "high", "scale", "minimum", "super_scale", "super_minimum")
    return {name: address(packed.arrays[name]) if name in packed.arrays else 0 for name in names}


def _whole(node: Node) -> Any:
    value = _output(node)
    return Ref(value, 0, value.width)


LOWERINGS: dict[str, Callable[[Node, Buffers, Inputs], Operation]] = {
    "lookup": _lookup, "rms_norm": _rms_norm, "layer_norm": _layer_norm, "rope": _rope,
    "store": _store, "pick": _pick, "convert": _convert, "linear": _linear,
    "gated": _gated, "attention": _attention, "merge_splits": _attention,
}  # fmt: skip
