"""Eager fallback for experts: all chosen experts of a layer in one run with five phases, instead of
three runs for each expert."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tramontane.blocks import ACTIVATIONS, ClampedSwiGLU, Experts, StackedLinear

from .kernels import matmul, quantize, rows
from .kernels.by_jobs import AT_ONCE, by_jobs
from .packing import Interleaved
from .row_orders import biases_of, is_alike, orders_of
from .step import interpreter
from .step.memory import Rooms, address, aligned
from .step.pool import Pool
from .step.products import affine_operation, packed_arrays
from .vector.target import SET
from .vector.tiles import PLAIN_UNIT_BYTES, ROWS, UNIT, UNIT_BYTES

KERNELS = {
    "silu": "silu", "relu": "relu", "relu2": "relu2", "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
}  # fmt: skip
"""Kernels of activation functions, by their names in transformers."""
TOGETHER = 16
"""Maximum number of experts per run: threads search for jobs in all operations of a phase."""
COUNT, INPUT, OUT = (matmul.FIELDS.index(name) for name in ("count", "input", "out"))


class Stack:
    """The kernel arguments of a stack of repacked matrices, one row for each matrix."""

    def __init__(self, stack: StackedLinear, exact: bool, rooms: Rooms) -> None:
        weight: Interleaved = stack.weight  # type: ignore[assignment]
        count = stack.count
        self.n_out, self.columns = weight.shape[0] // count, weight.shape[1]
        first = weight.rows(slice(0, self.n_out))
        shared = {"count": 0, "out": 0, "stride": 4 * self.n_out, "input": 0, "bias": 0, "add": 0}
        operation = affine_operation(first, exact, shared, rooms.room)
        self.jobs = operation.jobs
        self.arguments = np.tile(operation.arguments, (count, 1))
        for name, at in packed_arrays(weight.packed).items():
            if at:
                step = self.n_out // ROWS * weight.packed.arrays[name].strides[0]
                self.arguments[:, matmul.FIELDS.index(name)] += np.arange(count) * step
        self._biases = biases_of(stack)
        if self._biases is not None:
            at = address(self._biases) + self._biases.strides[0] * np.arange(count)
            self.arguments[:, matmul.FIELDS.index("bias")] = at
        self._orders = weight.packed.orders

    def orders(self, chosen: Any) -> Any:
        """Addresses of the chosen experts' orders of columns, or None."""
        if self._orders is None:
            return None
        places = chosen if len(self._orders) > 1 else np.zeros_like(chosen)
        return address(self._orders) + places * self._orders.strides[0]

    def at(self, expert: int) -> int:
        return address(self.arguments) + expert * self.arguments.strides[0]

    @property
    def units(self) -> int:
        return -(-self.columns // UNIT)


class Mixture:
    """A drop-in for `Experts.through`: a row's result depends only on that row."""

    def __init__(self, experts: Experts, act: str, exact: bool, pool: Pool) -> None:
        self._pool, self._act, self._exact, self._glu = pool, act, exact, experts.glu
        self._parts = experts.matrices
        self._rooms = Rooms(pool.threads)
        self._unit_bytes = PLAIN_UNIT_BYTES if exact else UNIT_BYTES

    @cached_property
    def _stacks(self) -> tuple[Stack, ...]:
        """Gate, if there is one, up and down; created on first use, because a recorded step does
        not need them."""
        return tuple(Stack(part, self._exact, self._rooms) for part in self._parts)

    def __call__(self, x: Tensor, counts: Tensor) -> Tensor:
        """x: (rows, hidden), sorted by expert; counts: (experts) rows of each -> (rows, hidden)."""
        each = counts.numpy()
        parts, start = [], 0
        for some in np.split(each.nonzero()[0], range(TOGETHER, len(each), TOGETHER)):
            if len(some):
                stop = start + int(each[some].sum())
                parts.append(self._some(x[start:stop], some, np.ascontiguousarray(each[some])))
                start = stop
        return torch.cat(parts) if parts else x.new_empty(0, self._stacks[-1].n_out)

    def _some(self, x: Tensor, chosen: Any, sizes: Any) -> Tensor:
        """Run a few experts. x: (rows, hidden); chosen: (k) experts; sizes: (k) rows of each."""
        n, (gates, *ups, downs) = len(x), self._stacks
        starts = np.concatenate(([0], sizes.cumsum()[:-1]))
        inputs = _floats(n, x.shape[1])
        inputs[:, : x.shape[1]] = x.detach().float().numpy()
        gate = _floats(n, gates.n_out)  # without a gate, this is up
        up = _floats(n, gates.n_out) if ups else gate
        out = _floats(n, downs.n_out)
        before, first = self._converted(inputs, gates, sizes, starts, gates.orders(chosen))
        between, second = self._converted(gate, downs, sizes, starts, self._between(chosen))
        multiply = [
            *self._multiplied(gates, chosen, sizes, first.places, gate, starts),
            *(each for stack in ups
              for each in self._multiplied(stack, chosen, sizes, first.places, up, starts)),
        ]  # fmt: skip
        wide = 4 * gate.shape[1]
        scale_arguments = np.array([gate.ctypes.data, wide, gate.ctypes.data, wide, gates.n_out, 0])
        limits = np.zeros(3, np.float32)
        both = np.array(
            [gate.ctypes.data, wide, up.ctypes.data, wide, gate.ctypes.data, wide, gates.n_out,
             address(limits)]
        )  # fmt: skip
        if isinstance(self._glu, ClampedSwiGLU):
            limits[:] = self._glu.limit, self._glu.alpha, self._glu.shift
            bend = [(rows.clamped_swiglu.address, address(both), -1, 0)]
        else:
            bend = [(rows.unary(self._act).address, address(scale_arguments), -1, 0)]
            bend += [(rows.binary("mul").address, address(both), -1, 0)] * len(ups)
        last = self._multiplied(downs, chosen, sizes, second.places, out, starts)
        groups = [before, multiply, bend, between, last]
        modes = [interpreter.JOBS, interpreter.JOBS, interpreter.ROWS, *[interpreter.JOBS] * 2]
        begins = np.cumsum([0, *map(len, groups)])
        phases = np.array(
            [(mode, begins[i], len(groups[i]), 0) for i, mode in enumerate(modes)], np.int64
        )
        operations = np.array([each for group in groups for each in group], np.int64)
        counts = np.zeros(8, np.int64)
        counts[0], counts[interpreter.AT_A_TIME] = n, 1 if n <= 16 else 8
        self._pool.run(self._pool.step(phases, operations, counts))
        return torch.from_numpy(out[:, : downs.n_out].copy()).to(x.dtype)

    def _between(self, chosen: Any) -> Any:
        """The orders of what is between, unless the rows of the first two matrices have them."""
        first: Any = self._parts[0].weight
        in_order = first.packed.row_orders is not None
        return None if in_order else self._stacks[-1].orders(chosen)

    def _converted(
        self, source: Any, stack: Stack, sizes: Any, starts: Any, orders: Any
    ) -> tuple[list[tuple[int, int, int, int]], _Tiles]:
        """Convert each expert's vectors to separate tiles."""
        bytes_each = stack.units * self._unit_bytes
        room = -(-sizes // SET.tile) * SET.tile * bytes_each
        tiles = _Tiles(aligned(int(room.sum()), np.uint8), sizes)
        tiles.places = address(tiles.memory) + np.concatenate(([0], room.cumsum()[:-1]))
        stride = 4 * source.shape[1]
        fields = {
            "count": tiles.counts_at, "tile": SET.tile, "units": stack.units,
            "columns": stack.columns, "x": source.ctypes.data + starts * stride, "stride": stride,
            "out": tiles.places, "begin": 0, "order": orders,
        }  # fmt: skip
        ordered = orders is not None
        names = quantize.ORDERED_FIELDS if ordered else quantize.FIELDS
        tiles.fields = np.stack(
            [np.broadcast_to(fields[name], len(sizes)) for name in names], 1
        ).astype(np.int64)
        kernel = quantize.quantizer(self._exact, ordered).address
        at = address(tiles.fields) + np.arange(len(sizes)) * tiles.fields.strides[0]
        tiles.jobs = np.stack([np.full(len(sizes), kernel), at, tiles.counts_at], 1).astype(
            np.int64
        )
        where = address(tiles.jobs) + np.arange(len(sizes)) * tiles.jobs.strides[0]
        return [
            (by_jobs.address, int(job), -1, -(-int(size) // AT_ONCE))
            for job, size in zip(where, sizes, strict=True)
        ], tiles

    def _multiplied(
        self, stack: Stack, chosen: Any, sizes: Any, places: Any, out: Any, starts: Any
    ) -> list[tuple[int, int, int, int]]:
        """Multiply the matrix of each chosen expert with its vectors."""
        fields = stack.arguments
        fields[chosen, COUNT] = address(sizes) + 8 * np.arange(len(sizes))
        fields[chosen, INPUT] = places
        fields[chosen, OUT] = out.ctypes.data + starts * 4 * out.shape[1]
        fields[chosen, matmul.FIELDS.index("stride")] = 4 * out.shape[1]
        return [(matmul.matmul.address, stack.at(int(e)), -1, stack.jobs) for e in chosen]


def mixture(experts: Experts, exact: bool, pool: Pool) -> Mixture | None:
    """A replacement for `experts.through`, if there are kernels for all of it."""
    act = next((KERNELS[name] for name in KERNELS if ACTIVATIONS[name] is experts.act), None)
    if experts.glu is not None:
        act = "" if isinstance(experts.glu, ClampedSwiGLU) else None
    weights: list[Any] = [part.weight for part in experts.matrices]
    if act is None or not all(isinstance(weight, Interleaved) for weight in weights):
        return None
    if not is_alike(*(orders_of(part.weight) for part in experts.first)):
        return None
    plain = {exact or weight.packed.packing.plain_only for weight in weights}
    return Mixture(experts, act, plain.pop(), pool) if len(plain) == 1 else None


class _Tiles:
    """Converted vectors that matrices read, with the arguments of the conversion kernels."""

    places: Any
    fields: Any
    jobs: Any

    def __init__(self, memory: Any, sizes: Any) -> None:
        self.memory = memory
        self.counts_at = address(sizes) + 8 * np.arange(len(sizes))


def _floats(count: int, width: int) -> Any:
    """An array (n, columns rounded up to a multiple of UNIT) float32."""
    padded = -(-width // UNIT) * UNIT
    return aligned(count * padded, np.float32).reshape(count, padded)
