"""Recorded steps that end behind the last norm: hidden states, where nobody wants logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tramontane.blocks import CausalLM
from tramontane.engine.batch import Batch

from .adapted import AdaptedSteps
from .graph import Node, Value, copied
from .pool import Pool
from .program import Program


class HiddenSteps:
    """What a model computes up to its last norm, with adapters or without. Made when first asked
    for."""

    def __init__(self, model: CausalLM, program: Program, pool: Pool, *, exact: bool) -> None:
        self._model, self._whole, self._pool, self._exact = model, program, pool, exact
        self._program: _HiddenProgram | None = None
        self._adapted: AdaptedSteps | None = None

    @property
    def known(self) -> bool:
        """Whether the recorded step has the last norm."""
        return self._whole.normed is not None

    def run(self, tokens: Sequence[int], batch: Batch) -> Any:
        """(wanted, hidden) float32, which the next such step writes over."""
        if self._program is None:
            self._program = _HiddenProgram(self._model, self._whole, self._pool, exact=self._exact)
        if not batch.adapters:
            return self._program.run(tokens, batch)
        if self._adapted is None:
            self._adapted = AdaptedSteps(self._model, self._program, self._pool, exact=self._exact)
        return self._adapted.run(tokens, batch)


class _HiddenProgram(Program):
    def __init__(self, model: CausalLM, whole: Program, pool: Pool, *, exact: bool) -> None:
        self._whole = whole
        super().__init__(model, pool, exact=exact)

    def operations(self, model: CausalLM, exact: bool) -> tuple[list[Node], int, Value]:
        nodes, sortings, _ = self._whole.recorded
        normed = self._whole.normed
        assert normed is not None
        end = max(index for index, node in enumerate(nodes) if node.output is normed)
        self.recorded = copied(nodes[: end + 1]), sortings, normed
        return copied(self.recorded[0]), sortings, normed
