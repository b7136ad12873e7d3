"""Which kernel does an operation, and what it is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tramontane.engine.kv_codes import INT4
from tramontane.layouts import Dense, Layout
from tramontane.native_product import NativeProduct

from tramontane_backend_cpu.kernels import attention as attention_kernels
from tramontane_backend_cpu.kernels import (
    attention_merge,
    coded,
    dense,
    gated,
    lookup,
    matmul,
    nibbles,
    rows,
)
from tramontane_backend_cpu.packing import KINDS, Interleaved
from tramontane_backend_cpu.row_groups import Grouped
from tramontane_backend_cpu.vector.target import SET
from tramontane_backend_cpu.vector.tiles import PLAIN_UNIT_BYTES, ROWS, UNIT, UNIT_BYTES

from .graph import CannotRecord, Node, Ref, Value
from .inputs import Inputs
from .memory import Buffers, address, rows_at
from .products import (
    CACHE_SHARE,
    Operation,
    affine_operation,
    arguments,
    conversion,
    dense_operation,
    grouped_operation,
    native_operation,
    order_at,
    packed_arrays,
    panel_of,
    stretch_of,
)

FLOATS = ("f32", "f16", "bf16")
CACHE_KINDS = {
    **KINDS, INT4: "i4", torch.float8_e4m3fn: "e4m3", torch.float8_e5m2: "e5m2",
}  # fmt: skip
"""Of keys and values."""
STORES = {"i8": coded.store_codes, "i4": nibbles.store_nibbles}
"""What writes codes into a cache."""
PLAIN = tuple(dtype for dtype, kind in KINDS.items() if kind in FLOATS)
"""Of plain matrices that kernels read."""
GATED_VECTORS = 128
"""Vectors at a time whose two products are joined, at most."""


def form_of(node: Node, exact: bool) -> str:
    """What form of vectors a matrix reads. Raises CannotRecord."""
    if (product := product_of(node.of["module"])) is not None:
        return product.form
    return form_for(node.of["module"].weight, exact or node.of.get("exact", False))


def product_of(module: Any) -> NativeProduct | None:
    """The product of a backend that stands on this one, where a module has one."""
    found: NativeProduct | None = vars(module).get("product")
    return found


def form_for(weight: Layout, exact: bool) -> str:
    """The same, of a matrix."""
    if isinstance(weight, Interleaved):
        return "plain" if exact or weight.packed.packing.plain_only else "int8"
    if isinstance(weight, Grouped):
        return "f32"
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
            units=packed.units, groups=packed.groups, supers=packed.supers,
            order=order_at(packed.order), count=weight.shape[0], **packed_arrays(packed),
        )  # fmt: skip
        kernel = lookup.lookup(packed.packing, packed.order is not None)
        return Operation(kernel.address, told)
    table = weight.data
    names = ("tokens", "table", "columns", "out", "stride", "count")
    told = arguments(names, tokens=ids, table=rows_at(table), columns=table.shape[1], out=out,
                     stride=stride, count=table.shape[0])  # fmt: skip
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
    weight = torch.ones(width) if module.weight is None else module.weight
    return {
        "x": x, "x_stride": x_stride, "out": out, "out_stride": out_stride, "width": width,
        "parts": _output(node).width // width, "weight": _vector(inputs, weight),
        "weight_step": 4 * width if weight.dim() == 2 else 0,
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


def _media(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (x, x_stride), (out, out_stride) = buffers.place(node.inputs[0]), buffers.place(_whole(node))
    width, level = _output(node).width, node.of["level"]
    told = arguments(
        rows.MEDIA_FIELDS, x=x, x_stride=x_stride, out=out, out_stride=out_stride, width=width,
        rows=inputs.media_at, offset=4 * width * level, add=int(level > 0),
    )  # fmt: skip
    return Operation(rows.put_media.address, told)


def _beside(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (x, x_stride), (y, y_stride) = (buffers.place(ref) for ref in node.inputs)
    out, out_stride = buffers.place(_whole(node))
    told = arguments(
        rows.BESIDE_FIELDS, x=x, x_stride=x_stride, y=y, y_stride=y_stride, out=out,
        out_stride=out_stride, x_width=node.inputs[0].width, y_width=node.inputs[1].width,
    )  # fmt: skip
    return Operation(rows.beside.address, told)


def _parts(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (x, x_stride), (out, out_stride) = buffers.place(node.inputs[0]), buffers.place(_whole(node))
    step, width = node.of["step"], node.of["width"]
    told = arguments(
        rows.PARTS_FIELDS, x=x + 4 * node.of["first"], x_stride=x_stride, out=out,
        out_stride=out_stride, parts=_output(node).width // width, step=4 * step, width=width,
    )  # fmt: skip
    return Operation(rows.take_parts.address, told)


def _convert(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (x, stride), (out, out_stride) = buffers.place(node.inputs[0]), buffers.place(_whole(node))
    value = _output(node)
    if value.form == "bf16":
        told = arguments(dense.ROUND_FIELDS, x=x, stride=stride, out=out, out_stride=out_stride,
                         columns=value.width)  # fmt: skip
        return Operation(dense.rounded(value.form).address, told)
    return conversion(
        node.of.get("order"), value.form == "plain", count=inputs.count_at(value.domain),
        units=-(-value.width // UNIT), columns=value.width, x=x, stride=stride, out=out,
    )  # fmt: skip


def order_of(weight: Layout) -> Any:
    """In which order a matrix reads the numbers of vectors: (columns) int32, or None."""
    return weight.packed.order if isinstance(weight, Interleaved) else None


def _linear(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    module, column = node.of["module"], node.of.get("column", 0)
    x, x_stride = buffers.place(node.inputs[0])
    out, stride = buffers.place(Ref(_output(node), column, _output(node).width - column))
    value = node.inputs[0].value
    assert value is not None
    shared = {
        "count": inputs.count_at(value.domain), "out": out, "stride": stride, "input": x,
        "bias": 0 if module.bias is None else _vector(inputs, module.bias),
        "add": int("add_to" in node.of),
    }  # fmt: skip
    weight = module.weight
    if (product := product_of(module)) is not None:
        rows = buffers.rows(value) * value.times + value.spare
        return native_operation(product, weight, x_stride, rows, shared, inputs.room)
    if isinstance(weight, Interleaved):
        return affine_operation(weight, value.form == "plain", shared, inputs.room)
    if isinstance(weight, Grouped):
        return grouped_operation(weight, x_stride, node.of["exact"], shared, inputs.room)
    return dense_operation(weight, x_stride, value.form == "bf16", shared)


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


def _attention(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    (q, q_stride), (out, out_stride) = buffers.place(node.inputs[0]), buffers.place(_whole(node))
    of = node.of
    if of.get("cross"):
        assert inputs.crossed is not None
        inputs = inputs.crossed
    layer = inputs.cache.layers[of["layer"]]
    kv_heads, d_key, d_value = layer.kv_heads, layer.d_key, layer.d_value
    heads = node.inputs[0].width // d_key
    sinks = of.get("sinks")
    kind = CACHE_KINDS[layer.stored]
    _, tables = inputs.places_of(layer)
    few, many = SET.attention_tiles
    latent = len(node.inputs) > 1
    asked, asked_stride = buffers.place(node.inputs[1]) if latent else (0, 0)
    told = arguments(
        attention_kernels.FIELDS, tiles=inputs.tiles_at, tables=tables,
        splits=inputs.splits_at, heads=heads, kv_heads=kv_heads, d_key=d_key, d_value=d_value, q=q,
        q_stride=q_stride, out=out, out_stride=out_stride, keys=layer.keys.data_ptr(),
        values=layer.values.data_ptr(), scale=_number(inputs, of["scale"]),
        window=of.get("window") or -(of.get("chunk") or 0),
        cap=_number(inputs, of.get("softcap") or 0.0),
        sinks=0 if sinks is None else _vector(inputs, sinks),
        slopes=_slopes(inputs, of.get("alibi")),
        few=attention_kernels.split_kernel(kind, few, latent).address,
        many=attention_kernels.split_kernel(kind, many, latent).address,
        asked=asked, asked_stride=asked_stride,
        **inputs.scratch(heads // kv_heads, kv_heads, d_key, d_value),
    )  # fmt: skip
    first = inputs.first_count
    if node.name == "merge_splits":
        return Operation(
            attention_merge.merge_splits.address, told, first + inputs.MERGES, kv_heads
        )
    return Operation(
        attention_kernels.attention(kind if kind in STORES else "").address,
        told,
        first + inputs.ATTENTIONS,
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


def _whole(node: Node) -> Any:
    value = _output(node)
    return Ref(value, 0, value.width)


LOWERINGS: dict[str, Callable[[Node, Buffers, Inputs], Operation]] = {
    "lookup": _lookup, "rms_norm": _rms_norm, "layer_norm": _layer_norm, "rope": _rope,
    "store": _store, "pick": _pick, "media": _media, "concatenate": _beside,
    "take_parts": _parts, "convert": _convert, "linear": _linear,
    "gated": _gated, "attention": _attention, "merge_splits": _attention,
}  # fmt: skip
