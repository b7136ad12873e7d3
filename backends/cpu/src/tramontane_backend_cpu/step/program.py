"""A recorded model, bound to memory and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

import numpy as np
from tramontane.blocks import CausalLM
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache

from tramontane_backend_cpu import precompile
from tramontane_backend_cpu.numba_setup import Kernel, missing

from . import interpreter, lower_mixture, lower_parts, lower_recurrent
from .fuse import fuse_gates
from .graph import JOINT, Node, Value, copied
from .inputs import Inputs
from .joint import Joined
from .lower import form_of, lower, order_of, refuse, table
from .memory import Buffers
from .mixture import expand
from .pool import Pool
from .products import Operation
from .record import Recording
from .schedule import Phase, add_in_place, convert_inputs, phases, share_memory

Lowering: TypeAlias = Callable[[Node, Buffers, Inputs], Operation]
LOWERINGS = {
    **lower_mixture.LOWERINGS,
    **lower_parts.LOWERINGS,
    **lower_recurrent.LOWERINGS,
}
"""Of operations besides those of `lower`."""
FIRST = 32
"""Tokens that memory is taken for at first: enough to decode."""


class Program:
    """A model's step. exact: whether activations stay float32. Raises CannotRecord."""

    hidden: Value | None = None
    """All rows behind the last layer, where the model keeps them."""
    normed: Value | None = None
    """The wanted rows behind the last norm, where that was seen."""
    further = 0
    """Counts that `written` writes, behind all others."""
    lowerings: ClassVar[Mapping[str, Lowering]] = MappingProxyType({})
    """Of operations that only these programs have."""

    def __init__(self, model: CausalLM, pool: Pool, *, exact: bool) -> None:
        nodes, sortings, self._logits = self.operations(model, exact)
        for node in nodes:
            if node.name == "linear":
                node.of["exact"] = exact or node.of.get("exact", False)
        nodes = convert_inputs(
            nodes,
            lambda node: form_of(node, exact),
            lambda node: order_of(node.of["module"].weight),
        )
        for node in nodes:
            if node.name not in LOWERINGS and node.name not in (*self.lowerings, JOINT):
                refuse(node)
        crosses = any(node.of.get("cross") for node in nodes)
        routed = sortings * lower_mixture.COUNTS
        self._crossing = Inputs.FURTHER + routed if crosses else 0
        """The first of the counts of what rows cross-attend to, where they do."""
        self._further = routed + (Inputs.CROSSING if crosses else 0) + self.further
        kept = [self._logits] if self.hidden is None else [self._logits, self.hidden]
        nodes = _with_merges(add_in_place(fuse_gates(nodes), kept))
        self._phases: list[Phase] = phases(nodes)
        self._numbers = share_memory(self._phases, *kept)
        self._pool = pool
        self._bound: Bound | None = None

    def operations(self, model: CausalLM, exact: bool) -> tuple[list[Node], int, Value]:
        """The operations as the model does them, how many of them route, and the step's result."""
        recording = Recording(model)
        assert recording.logits.value is not None
        if recording.hidden is not None:
            self.hidden = recording.hidden.value
        nodes, sortings = expand(recording.nodes, exact)
        self.recorded = copied(nodes), sortings, recording.logits.value
        """The same, for others to make something else of it: it can be recorded but once."""
        normed = recording.normed
        self.normed = normed.value if normed is not None and normed.is_whole else None
        return nodes, sortings, recording.logits.value

    def written(self, bound: Bound, batch: Batch) -> None:
        """Further inputs of a step are to be written."""

    def run(self, tokens: Sequence[int], batch: Batch) -> Any:
        """Logits (wanted, vocabulary), float32, which the next step writes over."""
        bound, wanted = self._bound, len(batch.numbers.wanted)
        places = sum([len(span.blocks) for span in batch.spans])
        if bound is None or not bound.fits(len(tokens), wanted, places, batch.cache):
            bound = self._bound = self._bind(len(tokens), wanted, places, batch.cache)
        bound.inputs.write(tokens, batch)
        self.written(bound, batch)
        bound.run(len(tokens), batch)
        return bound.logits[:wanted]

    def hidden_rows(self, count: int) -> Any:
        """Of the last step (count, hidden), which the next writes over; None where none are
        kept."""
        if self.hidden is None or self._bound is None:
            return None
        return self._bound.buffers.floats(self.hidden)[:count]

    def missing_kernels(self, cache: KVCache, skip: Callable[[Node], bool]) -> list[Kernel]:
        """Kernels that are still to be compiled, besides those of nodes to skip. cache: one like
        that which it will run with."""
        buffers, inputs = self._memory(FIRST, FIRST, 0, cache)
        with missing() as found:
            for phase in self._phases:
                for node in phase.nodes:
                    if node.name != JOINT and not skip(node):
                        lowered(node, buffers, inputs, self.lowerings)
        return found

    def _bind(self, tokens: int, wanted: int, places: int, cache: KVCache) -> Bound:
        before = self._bound
        if before is not None and before.inputs.cache is cache:
            tokens = max(tokens, before.buffers.tokens)
            wanted = max(wanted, before.buffers.wanted)
            places = max(places, before.inputs.places)
        self._bound = None  # its memory goes first
        # steps of one token more each time must not bind each time
        tokens, wanted = -(-tokens // FIRST) * FIRST, -(-wanted // FIRST) * FIRST

        def bound() -> Bound:
            memory = self._memory(tokens, wanted, places, cache)
            return Bound(self._phases, *memory, self._logits, self._pool, self.lowerings)

        with missing() as kernels:
            found = bound()
        if kernels:  # compiled together, they take less time than one after another
            precompile.wish(kernels, self._pool.threads)
            found = bound()
        precompile.rest()
        return found

    def _memory(
        self, tokens: int, wanted: int, places: int, cache: KVCache
    ) -> tuple[Buffers, Inputs]:
        buffers = Buffers(self._numbers, tokens, wanted)
        about = (places, self._further, self._crossing)
        return buffers, Inputs(cache, tokens, wanted, self._pool.threads, *about)


class Bound:
    """A program's operations with the addresses that they work on."""

    def __init__(
        self, found: list[Phase], buffers: Buffers, inputs: Inputs, kept: Value, pool: Pool,
        lowerings: Mapping[str, Lowering],
    ) -> None:  # fmt: skip
        self.buffers, self.inputs = buffers, inputs
        self._operations: list[Operation] = []
        self._pool = pool
        self._parts: list[interpreter.Step | Joined] = []
        rows: list[tuple[int, int, int, int]] = []
        first = 0
        for phase in [*found, None]:
            if phase is not None and phase.nodes[0].name != JOINT:
                at = len(self._operations)
                for node in phase.nodes:
                    self._operations.append(lowered(node, buffers, inputs, lowerings))
                mode = interpreter.JOBS if phase.domain is None else interpreter.ROWS
                rows.append((mode, at - first, len(phase.nodes), phase.domain or 0))
                continue
            if rows:
                listed = table(self._operations[first:])
                self._parts.append(pool.step(np.array(rows, np.int64), listed, inputs.counts))
                rows, first = [], len(self._operations)
            if phase is not None:
                self._parts += [Joined(node, buffers) for node in phase.nodes]
        self.logits: Any = buffers.floats(kept)

    def run(self, tokens: int, batch: Batch) -> None:
        """A step of so many tokens, whose inputs are written."""
        for part in self._parts:
            if isinstance(part, Joined):
                part.run(tokens, batch)
            else:
                self._pool.run(part)

    def fits(self, tokens: int, wanted: int, places: int, cache: KVCache) -> bool:
        return (
            self.inputs.cache is cache
            and places <= self.inputs.places
            and tokens <= self.buffers.tokens
            and wanted <= self.buffers.wanted
        )


def lowered(
    node: Node,
    buffers: Buffers,
    inputs: Inputs,
    more: Mapping[str, Lowering] = MappingProxyType({}),
) -> Operation:
    """A node as the kernel that does it is told."""
    return (more.get(node.name) or LOWERINGS.get(node.name, lower))(node, buffers, inputs)


def _with_merges(nodes: list[Node]) -> list[Node]:
    """After each attention, what joins the parts of long contexts."""
    found: list[Node] = []
    for node in nodes:
        found.append(node)
        if node.name == "attention":
            found.append(Node("merge_splits", node.inputs, node.output, dict(node.of), [node]))
    return found
