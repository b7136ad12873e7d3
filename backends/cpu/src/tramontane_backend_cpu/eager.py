"""Eager fallback: kernels for single blocks, for models whose step cannot be recorded. Results are
bit-identical to the recorded step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tramontane import reference
from tramontane.blocks import ClampedSwiGLU
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import LayerCache
from tramontane.layouts import Dense, Layout

from .kernels import lookup, rows
from .packing import Interleaved
from .row_groups import Grouped
from .step import interpreter
from .step.graph import TOKENS, Node, Ref, Value
from .step.inputs import Inputs
from .step.lower import form_for, lower, table
from .step.memory import Buffers, Rooms, address
from .step.pool import Pool
from .step.products import (
    Operation,
    affine_operation,
    arguments,
    conversion,
    dense_operation,
    grouped_operation,
    order_at,
    packed_arrays,
)


def multiply_packed(to_be_exact: bool, pool: Pool) -> Callable[[Tensor, Layout], Tensor]:
    """A drop-in for `reference.linear` on packed weights."""

    def multiply(x: Tensor, weight: Layout) -> Tensor:
        assert isinstance(weight, Interleaved)
        exact = to_be_exact or weight.packed.packing.plain_only
        numbers = np.ascontiguousarray(x.detach().float().numpy())
        count, packed = len(numbers), weight.packed
        value = Value(TOKENS, packed.columns, "plain" if exact else "int8")
        at, _ = (buffers := Buffers({value: 0}, count, 0)).place(Ref(value, 0, value.width))
        counts = np.zeros(8, np.int64)
        counts[0], counts[interpreter.AT_A_TIME] = count, 1
        out = np.empty((count, packed.rows), np.float32)
        operations = [
            conversion(
                packed.order, exact, count=address(counts), units=packed.units,
                columns=packed.columns, x=address(numbers), stride=4 * packed.columns, out=at,
            ),
        ]  # fmt: skip
        room = Rooms(pool.threads)
        operations.append(affine_operation(weight, exact, {
            "count": address(counts), "out": address(out), "stride": 4 * packed.rows, "input": at,
            "bias": 0, "add": 0,
        }, room.room))  # fmt: skip
        phases = np.array([(interpreter.ROWS, 0, 1, TOKENS), (interpreter.JOBS, 1, 1, 0)], np.int64)
        pool.run(pool.step(phases, table(operations), counts))
        del buffers, room
        if packed.row_orders is not None:
            stored, out = out, np.empty_like(out)
            out[:, packed.row_orders[0]] = stored
        return torch.from_numpy(out).to(x.dtype)

    return multiply


def multiply_dense(to_be_exact: bool, pool: Pool) -> Callable[[Tensor, Layout], Tensor]:
    """A drop-in for `reference.linear` on unquantized weights. torch's own product sums in an order
    that depends on the number of vectors. to_be_exact: whether activations stay float32 where the
    weights are bfloat16 too."""

    def multiply(x: Tensor, weight: Layout) -> Tensor:
        assert isinstance(weight, Dense)
        count, (rows, columns) = len(x), weight.shape
        rounded = form_for(weight, to_be_exact) == "bf16"
        numbers = x.detach().to(torch.bfloat16 if rounded else torch.float32).contiguous()
        stride = columns * numbers.element_size()
        counts = np.zeros(8, np.int64)
        counts[0] = count
        out = np.empty((count, rows), np.float32)
        operation = dense_operation(weight, stride, rounded, {
            "count": address(counts), "out": address(out), "stride": 4 * rows,
            "input": numbers.data_ptr(),
            "bias": 0, "add": 0,
        })  # fmt: skip
        phases = np.array([(interpreter.JOBS, 0, 1, 0)], np.int64)
        pool.run(pool.step(phases, table([operation]), counts))
        return torch.from_numpy(out).to(x.dtype)

    return multiply


def multiply_grouped(exact: bool, pool: Pool) -> Callable[[Tensor, Layout], Tensor]:
    """A drop-in for `reference.linear` on packed groups of rows."""

    def multiply(x: Tensor, weight: Layout) -> Tensor:
        assert isinstance(weight, Grouped)
        numbers = np.ascontiguousarray(x.detach().float().numpy())
        count, (rows, columns) = len(numbers), weight.shape
        counts = np.zeros(8, np.int64)
        counts[0] = count
        out = np.empty((count, rows), np.float32)
        room = Rooms(pool.threads)
        operation = grouped_operation(weight, 4 * columns, exact, {
            "count": address(counts), "out": address(out), "stride": 4 * rows,
            "input": address(numbers), "bias": 0, "add": 0,
        }, room.room)  # fmt: skip
        phases = np.array([(interpreter.JOBS, 0, 1, 0)], np.int64)
        pool.run(pool.step(phases, table([operation]), counts))
        del room
        return torch.from_numpy(out).to(x.dtype)

    return multiply


def embed_grouped(tokens: Tensor, weight: Layout, dtype: torch.dtype) -> Tensor:
    """A drop-in for `reference.embedding` on packed groups of rows."""
    assert isinstance(weight, Grouped)
    places = torch.from_numpy(weight.places)[tokens]
    stored: Any = Interleaved(weight.packed, weight.kind)
    codes = embed_packed(places, stored, torch.float32)[:, : weight.shape[1]]
    group = weight.group_of[tokens]
    return ((codes - weight.zero[group].float()) * weight.scale[group].float()).to(dtype)


def multiply_decoded(to_be_exact: bool, pool: Pool) -> Callable[[Tensor, Layout], Tensor]:
    """A drop-in for `reference.linear` on layouts that no kernel reads: decoded some rows at a
    time, as there, and multiplied as plain floats are."""
    dense = multiply_dense(to_be_exact, pool)

    def multiply(x: Tensor, weight: Layout) -> Tensor:
        rows, columns = weight.shape
        step = max(1, reference.CHUNK // columns)
        parts = [
            dense(x, Dense(weight.rows(slice(start, start + step)).decode().contiguous()))
            for start in range(0, rows, step)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1)

    return multiply


def activate(
    kernel: str, pool: Pool, written: Callable[[Tensor], Tensor] | None = None
) -> Callable[[Tensor], Tensor]:
    """A drop-in for an activation function: torch's own give the last few numbers of a tensor other
    bits, so that a row's would depend on how many rows there are. written: what it stands for, by
    which it is recorded."""

    def bend(x: Tensor) -> Tensor:
        if x.is_meta and written is not None:
            return written(x)
        width = x.shape[-1]
        numbers = np.ascontiguousarray(x.detach().float().numpy()).reshape(-1, width)
        out = np.empty_like(numbers)
        value, counts = np.zeros(1, np.float32), np.zeros(8, np.int64)
        told = arguments(
            rows.UNARY_FIELDS, x=address(numbers), x_stride=4 * width, out=address(out),
            out_stride=4 * width, width=width, value=address(value),
        )  # fmt: skip
        counts[0], counts[interpreter.AT_A_TIME] = len(numbers), 1
        phases = np.array([(interpreter.ROWS, 0, 1, TOKENS)], np.int64)
        operations = table([Operation(rows.unary(kernel).address, told)])
        pool.run(pool.step(phases, operations, counts))
        return torch.from_numpy(out.reshape(x.shape)).to(x.dtype)

    return bend


def join(glu: ClampedSwiGLU, pool: Pool) -> Callable[[Tensor, Tensor], Tensor]:
    """A drop-in for a `ClampedSwiGLU`, for the same reason as `activate`."""

    def bend(gate: Tensor, up: Tensor) -> Tensor:
        width = gate.shape[-1]
        first, second = (
            np.ascontiguousarray(each.detach().float().numpy()).reshape(-1, width)
            for each in (gate, up)
        )
        out, stride, counts = np.empty_like(first), 4 * width, np.zeros(8, np.int64)
        values = np.array([glu.limit, glu.alpha, glu.shift], np.float32)
        told = arguments(
            rows.GLU_FIELDS, x=address(first), x_stride=stride, y=address(second), y_stride=stride,
            out=address(out), out_stride=stride, width=width, values=address(values),
        )  # fmt: skip
        counts[0], counts[interpreter.AT_A_TIME] = len(first), 1
        phases = np.array([(interpreter.ROWS, 0, 1, TOKENS)], np.int64)
        operations = table([Operation(rows.clamped_swiglu.address, told)])
        pool.run(pool.step(phases, operations, counts))
        return torch.from_numpy(out.reshape(gate.shape)).to(gate.dtype)

    return bend


def multiply_stacked(
    multiply: Callable[[Tensor, Layout], Tensor],
) -> Callable[[Tensor, Tensor, Layout], Tensor]:
    """A drop-in for `reference.grouped_linear`, with `multiply` for each matrix."""

    def grouped(x: Tensor, counts: Tensor, weight: Layout) -> Tensor:
        n_out = weight.shape[0] // len(counts)
        parts, start = [], 0
        for index, count in enumerate(counts.tolist()):
            if count:
                rows = slice(index * n_out, (index + 1) * n_out)
                parts.append(multiply(x[start : start + count], weight.rows(rows)))
                start += count
        return torch.cat(parts) if parts else x.new_empty(0, n_out)

    return grouped


def embed_packed(tokens: Tensor, weight: Layout, dtype: torch.dtype) -> Tensor:
    """A drop-in for `reference.embedding` on packed weights."""
    assert isinstance(weight, Interleaved)
    packed, ids = weight.packed, np.ascontiguousarray(tokens.numpy())
    out = np.empty((len(ids), packed.columns), np.float32)
    packed_arguments = arguments(
        lookup.FIELDS, tokens=address(ids), out=address(out), stride=4 * packed.columns,
        columns=packed.columns, units=packed.units, groups=packed.groups, supers=packed.supers,
        order=order_at(packed.order), count=weight.shape[0], **packed_arrays(packed),
    )  # fmt: skip
    lookup.lookup(packed.packing, packed.order is not None).ctypes(
        address(packed_arguments), 0, len(ids)
    )
    return torch.from_numpy(out).to(dtype)


def attend(pool: Pool) -> Callable[..., Tensor]:
    """A drop-in for `reference.attention`."""

    def attention(
        q: Tensor,
        cache: LayerCache,
        batch: Batch,
        scale: float,
        window: int | None,
        softcap: float | None = None,
        alibi: Sequence[float] | None = None,
        sinks: Tensor | None = None,
        chunk: int | None = None,
    ) -> Tensor:
        options = {"scale": scale, "window": window, "softcap": softcap, "chunk": chunk}
        return _attend(pool, [q], cache, batch, {**options, "alibi": alibi, "sinks": sinks})

    return attention


def attend_latents(pool: Pool) -> Callable[..., Tensor]:
    """A drop-in for `reference.latent_attention`."""

    def attention(
        asked: Tensor, turned: Tensor, cache: LayerCache, batch: Batch, scale: float
    ) -> Tensor:
        scaled = asked.detach().float() * scale
        return _attend(pool, [turned, scaled], cache, batch, {"scale": scale})

    return attention


def _attend(
    pool: Pool, given: Sequence[Tensor], cache: LayerCache, batch: Batch, about: dict[str, Any]
) -> Tensor:  # fmt: skip
    """The recorded step's attention for a single layer. given: queries (tokens, heads, d_key), and
    what is asked of latents, scaled, where values are keys too -> (tokens, heads, d_value)."""
    tokens, heads, _ = given[0].shape
    layer = next(i for i, each in batch.cache.layers.items() if each is cache)
    names, told = ("attention", "merge_splits"), {"layer": layer, **about}
    out = alone(pool, names, lower, given, heads * cache.d_value, batch, told)
    return out.view(tokens, heads, cache.d_value).to(given[0].dtype)


def alone(
    pool: Pool,
    names: Sequence[str],
    lowering: Callable[[Node, Buffers, Inputs], Operation],
    given: Sequence[Tensor],
    width: int,
    batch: Batch,
    about: dict[str, Any],
) -> Tensor:
    """Operations of the recorded step that write to one result, one after the other, without the
    others. given: (tokens, ...) each -> (tokens, width) float32."""
    tokens = len(given[0])
    values = [Value(TOKENS, each[0].numel()) for each in given]
    result = Value(TOKENS, width)
    buffers = Buffers({value: i for i, value in enumerate([*values, result])}, tokens, 0)
    places = sum(len(span.blocks) for span in batch.spans)
    inputs = Inputs(batch.cache, tokens, len(batch.wanted), pool.threads, places)
    refs = tuple(Ref(value, 0, value.width) for value in values)
    operations = [
        lowering(Node(name, refs, result, dict(about)), buffers, inputs) for name in names
    ]
    inputs.write(batch.numbers.positions, batch)
    for value, each in zip(values, given, strict=True):
        buffers.floats(value)[:] = each.detach().float().flatten(1).numpy()
    phases = np.array([(interpreter.JOBS, i, 1, 0) for i in range(len(names))], np.int64)
    pool.run(pool.step(phases, table(operations), inputs.counts))
    return torch.from_numpy(buffers.floats(result).copy())
