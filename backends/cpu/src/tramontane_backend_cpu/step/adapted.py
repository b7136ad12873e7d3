"""Recorded steps whose rows have adapters: the model's own operations, and behind each product that
an adapter changes one that adds to it what the row's adapters add. Rows without adapters have the
bits of a step without any."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from tramontane.adapters.prompted import Part
from tramontane.blocks import CausalLM, Linear
from tramontane.engine.batch import Batch

from tramontane_backend_cpu.kernels import rows
from tramontane_backend_cpu.kernels.low_rank import FIELDS, add_low_rank, tile
from tramontane_backend_cpu.low_rank import packed, scratch_bytes

from .graph import TOKENS, WANTED, Node, Ref, Value, copied
from .inputs import Inputs
from .memory import Buffers, address
from .pool import Pool
from .products import Operation, arguments
from .program import Program
from .runs import Run, runs_of, wanted_groups

if TYPE_CHECKING:
    from tramontane.adapters.adapter import Applied
    from tramontane.adapters.prompted import Changes

    from .program import Bound

COUNTS = 2
"""Of runs: of all rows, and of those whose logits are asked for."""


class AdaptedSteps:
    """The steps of a model with adapters. Recorded anew when adapters come that change modules
    which none before did, or have a higher rank."""

    def __init__(self, model: CausalLM, program: Program, pool: Pool, *, exact: bool) -> None:
        self._model, self._plain, self._pool, self._exact = model, program, pool, exact
        nodes, _, _ = program.recorded
        products = {id(node.of["module"]) for node in nodes if node.name == "linear"}
        self.products = {path for path, each in model.named_modules() if id(each) in products}
        """Paths of modules whose products are operations of their own."""
        self._modules: dict[str, int] = {}
        self._rank = 0
        self._program: _AdaptedProgram | None = None

    def run(self, tokens: Sequence[int], batch: Batch) -> Any:
        """What `Program.run` returns; batch.adapters: of its rows, one behind the other."""
        known, rank = len(self._modules), self._rank
        for _, _, applied in batch.adapters:
            for path, pairs in changed(applied).items():
                self._modules.setdefault(path, len(self._modules))
                self._rank = max(self._rank, *(pair[0].rank for pair in pairs))
        if self._program is None or (known, rank) != (len(self._modules), self._rank):
            self._program = None  # its memory goes first
            self._program = _AdaptedProgram(
                self._model,
                self._plain,
                self._pool,
                self._modules,
                self._rank,
                exact=self._exact,
            )
        return self._program.run(tokens, batch)


def changed(applied: Applied | Changes) -> Mapping[str, Sequence[tuple[Any, ...]]]:
    """What is added to products, by the paths of their modules: pairs with one factor for all rows,
    `Applied.pairs`, or those of which rows have shares, `Changes.mixed`."""
    return applied.mixed or applied.pairs or {}


class _AdaptedProgram(Program):
    """modules: numbers of the modules that adapters may change, by their paths."""

    further = COUNTS

    def __init__(
        self, model: CausalLM, plain: Program, pool: Pool, modules: dict[str, int], rank: int, *,
        exact: bool,
    ) -> None:  # fmt: skip
        self._plain = plain
        self._indices = dict(modules)
        self._rank = rank
        self._numbered = {id(model.get_submodule(path)): index for path, index in modules.items()}
        self._nothing = _Table(None, self._indices)
        self._tables: WeakKeyDictionary[Applied | Changes, _Table] = WeakKeyDictionary()
        super().__init__(model, pool, exact=exact)

    def operations(self, model: CausalLM, exact: bool) -> tuple[list[Node], int, Value]:
        found = []
        nodes, sortings, logits = self._plain.recorded
        for node in copied(nodes):
            index = self._numbered.get(id(node.of.get("module")))
            if node.name != "linear" or index is None or type(node.of["module"]) is not Linear:
                found.append(node)
                continue
            result = node.output
            assert result is not None
            alone, more = (Value(result.domain, result.width) for _ in range(2))
            # by itself, so that it needs no other phase than the product
            of = {"index": index, "rank": self._rank}
            found.append(Node("low_rank", node.inputs, more, of))
            node.output = alone
            both = (Ref(alone, 0, alone.width), Ref(more, 0, more.width))
            found += [node, Node("add_low_rank", both, result)]
        return found, sortings, logits

    def written(self, bound: Bound, batch: Batch) -> None:
        groups: list[Run] = []
        directory: list[int] = []
        end = 0
        for first, count, applied in batch.adapters:
            if applied not in self._tables:
                self._tables[applied] = _Table(applied, self._indices)
            if first > end:  # rows without any are among the others, or before them
                groups.append((end, first - end, len(directory)))
                directory.append(self._nothing.address)
            groups.append((first, count, len(directory)))
            directory.append(self._tables[applied].address)
            end = first + count
        inputs = bound.inputs
        _put(inputs.table("adapters", inputs.tokens), directory)
        wanted = wanted_groups(groups, batch.numbers.wanted)
        for domain, its in ((TOKENS, groups), (WANTED, wanted)):
            runs = runs_of(its)
            _put(_runs_at(inputs, domain), runs)
            inputs.counts[len(inputs.counts) - COUNTS + domain] = len(runs) // 3
        if batch.shares:
            _put_shares(inputs, batch)


class _Table:
    """Of adapters: for each module the address of its pairs."""

    def __init__(self, applied: Applied | Changes | None, modules: dict[str, int]) -> None:
        self._kept: list[Any] = []
        table = np.zeros(len(modules), np.int64)
        one = np.ones(1, np.float32)
        width = 0 if applied is None or applied.mixed is None else applied.width
        for path, pairs in ({} if applied is None else changed(applied)).items():
            told = [len(pairs)]
            for each in pairs:
                pair, number, share = packed(each[0]), one, -1
                if isinstance(each, Part):
                    share = each.layer * width + each.adapter
                else:
                    number = np.array([each[1]], np.float32)
                self._kept += [number, pair]
                told += pair.words(address(number), share)
            listed = np.array(told, np.int64)
            self._kept.append(listed)
            table[modules[path]] = address(listed)
        self._kept.append(table)
        self.address = address(table)


def _put_shares(inputs: Inputs, batch: Batch) -> None:
    """Addresses of the rows' shares, which the batch keeps."""
    found = [0] * len(batch.numbers.slots)
    for first, shares in batch.shares:
        each = 4 * shares[0].numel()
        for row in range(len(shares)):
            found[first + row] = shares.data_ptr() + each * row
    _put(_shares_at(inputs, TOKENS), found)
    _put(_shares_at(inputs, WANTED), [found[row] for row in batch.numbers.wanted])


def _shares_at(inputs: Inputs, domain: int) -> int:
    return inputs.table(("shares", domain), inputs.tokens)


def _runs_at(inputs: Inputs, domain: int) -> int:
    """Room for as many runs as there may be rows."""
    return inputs.table(("adapters", domain), 3 * inputs.tokens)


def _put(at: int, numbers: list[int]) -> None:
    ctypes.memmove(at, array("q", numbers).tobytes(), 8 * len(numbers))


def _added(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    assert node.output is not None
    (x, x_stride), (y, y_stride) = (buffers.place(ref) for ref in node.inputs)
    out, stride = buffers.place(Ref(node.output, 0, node.output.width))
    told = arguments(
        rows.BINARY_FIELDS, x=x, x_stride=x_stride, y=y, y_stride=y_stride, out=out,
        out_stride=stride, width=node.output.width,
    )  # fmt: skip
    return Operation(rows.binary("add").address, told)


def _low_rank(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    assert node.output is not None
    domain, size = node.output.domain, scratch_bytes(node.of["rank"])
    x, x_stride = buffers.place(node.inputs[0])
    out, stride = buffers.place(Ref(node.output, 0, node.output.width))
    told = arguments(
        FIELDS, runs=_runs_at(inputs, domain), directory=inputs.table("adapters", inputs.tokens),
        module=node.of["index"], input=x, input_stride=x_stride, columns=node.inputs[0].width,
        out=out, stride=stride, rows=node.output.width, scratch=inputs.room(size),
        scratch_bytes=size, shares=_shares_at(inputs, domain),
    )  # fmt: skip
    which = len(inputs.counts) - COUNTS + domain
    return Operation(add_low_rank(*tile()).address, told, which, 1)


LOWERINGS: dict[str, Callable[[Node, Buffers, Inputs], Operation]] = {
    "low_rank": _low_rank, "add_low_rank": _added,
}  # fmt: skip
"""Of the operations that are in these steps only."""
_AdaptedProgram.lowerings = LOWERINGS
