"""Recorded steps with other linear layers in the places of some: the operations stay, the weights
do not."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tramontane.blocks import CausalLM, Linear
from tramontane.engine.batch import Batch

from .graph import Node, Value, copied
from .pool import Pool
from .program import Program

if TYPE_CHECKING:
    from tramontane.adapters.prompted import Changes

MOST = 8
"""Programs that are kept; each has the memory that a step of the model takes."""


class ReplacedSteps:
    """The steps of a model in which other layers are. Made when first asked for."""

    def __init__(self, model: CausalLM, program: Program, pool: Pool, *, exact: bool) -> None:
        self._model, self._plain, self._pool, self._exact = model, program, pool, exact
        self._programs: OrderedDict[bytes, Program] = OrderedDict()

    def run(self, tokens: Sequence[int], batch: Batch, changes: Changes) -> Any:
        """What `Program.run` returns, for `Changes` with `replaced`."""
        program = self._programs.pop(changes.digest, None)
        if program is None:
            while len(self._programs) >= MOST:
                self._programs.popitem(last=False)
            assert changes.replaced is not None
            program = _ReplacedProgram(
                self._model, self._plain, self._pool, changes.replaced, exact=self._exact
            )
        self._programs[changes.digest] = program
        return program.run(tokens, batch)


class _ReplacedProgram(Program):
    """layers: in the places of the model's, by their paths."""

    def __init__(
        self, model: CausalLM, plain: Program, pool: Pool, layers: Mapping[str, Linear], *,
        exact: bool,
    ) -> None:  # fmt: skip
        self._plain = plain
        self._layers = {id(model.get_submodule(path)): layer for path, layer in layers.items()}
        super().__init__(model, pool, exact=exact)

    def operations(self, model: CausalLM, exact: bool) -> tuple[list[Node], int, Value]:
        nodes, sortings, logits = self._plain.recorded
        found = copied(nodes)
        for node in found:
            if node.name == "linear":
                own = node.of["module"]
                node.of["module"] = self._layers.get(id(own), own)
        return found, sortings, logits
