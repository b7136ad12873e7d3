"""A function of rows, each for itself, as a list of kernels: what layers of encoders consist of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tramontane_backend_cpu import precompile
from tramontane_backend_cpu.numba_setup import missing

from . import interpreter
from .fuse import fuse_gates
from .graph import TOKENS, CannotRecord, Value
from .inputs import Inputs
from .lower import form_of, order_of, refuse, table
from .memory import Buffers, Rooms, aligned, row_bytes
from .pool import Pool
from .products import Operation
from .program import LOWERINGS, lowered
from .record import Recording, told_rows
from .schedule import add_in_place, convert_inputs, phases, share_memory

LEAST = 32
"""Rows that memory is taken for in multiples of."""


class Workspace:
    """Memory that the functions of a model share, as one runs at a time."""

    def __init__(self, pool: Pool, *, exact: bool) -> None:
        self.pool, self.exact = pool, exact
        self.arrays: dict[tuple[int, int], Any] = {}
        self.rooms = Rooms(pool.threads)


class _Shared(Buffers):
    """Buffers from a workspace."""

    def __init__(self, numbers: dict[Value, int], tokens: int, workspace: Workspace) -> None:
        super().__init__(numbers, tokens, 0)
        self._workspace = workspace

    def array(self, value: Value) -> Any:
        number, each = self._numbers[value], row_bytes(value)
        if number not in self._arrays:
            kept, size = self._workspace.arrays, self.tokens * each * value.times
            key = number, each * value.times
            if key not in kept or kept[key].nbytes < size + LEAST * each:  # whole tiles
                kept[key] = aligned(size + LEAST * each, np.uint8)
            self._arrays[number] = kept[key][:size]
        return self._arrays[number]


class RowProgram:
    """Stands for a method of a module, (rows, ...), ... -> (rows, ...), or several of these. It is
    recorded when it is called first, and runs as it is written if it cannot be."""

    def __init__(
        self, module: nn.Module, written: Callable[..., Any], workspace: Workspace
    ) -> None:
        self._module, self._written, self._workspace = module, written, workspace
        self.why: str | None = None
        """What stopped the recording, None if nothing did."""
        self._recorded = False
        self._bound: _Bound | None = None

    def __call__(self, *given: Tensor) -> Any:
        if not self._recorded:
            self._recorded = True
            try:
                self._record([each.shape[1] for each in given])
            except CannotRecord as error:
                self.why = str(error)
        if self.why is not None:
            return self._written(*given)
        rows = len(given[0])
        if self._bound is None or self._bound.buffers.tokens < rows:
            self._bind(rows)
        assert self._bound is not None
        return self._bound.run(given, rows)

    def _record(self, widths: list[int]) -> None:
        exact = self._workspace.exact
        self._given = [Value(TOKENS, width) for width in widths]
        with torch.inference_mode(False):  # in it, torch does not take operations apart
            recording = Recording(self._module, told_rows(self._written, self._given))
        self._results = recording.results
        kept: list[Any] = [each.value for each in self._results]
        if any(value is None or value in self._given for value in kept):
            raise CannotRecord("a function of rows that gives back what it was given")
        nodes = convert_inputs(
            recording.nodes,
            lambda node: form_of(node, exact),
            lambda node: order_of(node.of["module"].weight),
        )
        for node in nodes:
            if node.name == "linear":
                node.of["exact"] = exact
            if node.name not in LOWERINGS:
                refuse(node)
        self._phases = phases(add_in_place(fuse_gates(nodes), kept, self._given))
        self._numbers = share_memory(self._phases, *kept)
        for value in self._given:  # they are there before all others, and stay
            self._numbers[value] = -1 - self._given.index(value)

    def _bind(self, rows: int) -> None:
        rows = -(-rows // LEAST) * LEAST

        def bound() -> _Bound:
            return _Bound(self, _Shared(self._numbers, rows, self._workspace), self._workspace)

        with missing() as kernels:
            self._bound = bound()
        if kernels:
            precompile.wish(kernels, self._workspace.pool.threads)
            self._bound = bound()
        precompile.rest()


class _Bound:
    """A function's operations with the addresses that they work on."""

    def __init__(self, program: RowProgram, buffers: Buffers, workspace: Workspace) -> None:
        self.buffers, self._pool = buffers, workspace.pool
        self._inputs = Inputs(_NoCache(), buffers.tokens, 0, workspace.pool.threads)  # type: ignore[arg-type]
        self._inputs.room = workspace.rooms.room
        self._operations: list[Operation] = []
        rows = []
        for phase in program._phases:
            first = len(self._operations)
            self._operations += [lowered(node, buffers, self._inputs) for node in phase.nodes]
            mode = interpreter.JOBS if phase.domain is None else interpreter.ROWS
            rows.append((mode, first, len(phase.nodes), phase.domain or 0))
        counts = self._inputs.counts
        self._step = self._pool.step(np.array(rows, np.int64), table(self._operations), counts)
        self._given = [buffers.floats(value) for value in program._given]
        self._out = [
            buffers.floats(each.value)[:, each.offset : each.offset + each.width]
            for each in program._results
            if each.value is not None
        ]

    def run(self, given: tuple[Tensor, ...], rows: int) -> Any:
        for place, each in zip(self._given, given, strict=True):
            place[:rows] = each.detach().float().numpy()
        counts = self._inputs.counts
        counts[0], counts[interpreter.AT_A_TIME] = rows, 1 if rows <= 16 else 8
        self._pool.run(self._step)
        found = tuple(torch.from_numpy(each[:rows].copy()).to(given[0].dtype) for each in self._out)
        return found if len(found) > 1 else found[0]


class _NoCache:
    """What inputs ask of a cache, where nothing reads one."""

    blocks, block_size, windows, states = 0, 16, (), ()
