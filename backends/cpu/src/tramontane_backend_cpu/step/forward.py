"""What stands in for a prepared model's `forward`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tramontane.blocks import CausalLM
from tramontane.engine.batch import Batch
from tramontane.engine.cross_rows import CrossRows

from tramontane_backend_cpu.eager_functions import SteadyFunctions

from .adapted import AdaptedSteps, changed
from .graph import CannotRecord, NoKernel
from .last_hidden import HiddenSteps
from .pool import Pool
from .program import Program
from .replaced import ReplacedSteps

if TYPE_CHECKING:
    from tramontane.adapters.adapter import Applied
    from tramontane.adapters.prompted import Changes


class Forward:
    """Runs the recorded step; the model as it is written where it cannot be recorded.

    why: what stopped the recording, None if nothing did. operation: whether that is an operation
    that the model's author can replace.
    """

    def __init__(self, model: CausalLM, pool: Pool, *, exact: bool) -> None:
        self._written = type(model).forward
        self._model = model
        self.program: Program | None = None
        self.why: str | None = None
        self.operation = False
        self._steady = SteadyFunctions(pool)
        if model.model.embed_tokens.dtype != torch.float32:
            self.why = f"activations are {model.model.embed_tokens.dtype}"
            return
        try:
            self.program = Program(model, pool, exact=exact)
        except CannotRecord as error:
            self.why, self.operation = str(error), isinstance(error, NoKernel)
        else:
            self._adapted = AdaptedSteps(model, self.program, pool, exact=exact)
            self._replaced = ReplacedSteps(model, self.program, pool, exact=exact)
            self._hidden = HiddenSteps(model, self.program, pool, exact=exact)

    def mixes(self, applied: Applied | Changes) -> bool:
        """Whether rows with these adapters may be in a recorded step."""
        if self.program is None or (applied.pairs is None and applied.mixed is None):
            return False
        return changed(applied).keys() <= self._adapted.products

    def __call__(self, tokens: Tensor, batch: Batch) -> Tensor:
        """What `CausalLM.forward` returns."""
        if self.program is None or not self._recorded(batch):
            with self._steady:
                return self._written(self._model, tokens, batch)
        return torch.from_numpy(self.program.run(tokens.tolist(), batch).copy())

    def step(self, tokens: Sequence[int], batch: Batch) -> Any:
        """What `CausalLM.step` returns."""
        if self.program is not None and batch.replaced is not None and self._places(batch):
            return self._replaced.run(tokens, batch, batch.replaced)
        if self.program is None or not self._recorded(batch):
            return CausalLM.step(self._model, tokens, batch)
        if batch.adapters:
            self._model.hidden = None
            return self._adapted.run(tokens, batch)
        found = self.program.run(tokens, batch)
        if self._model.keeps_hidden:
            self._model.hidden = self.program.hidden_rows(len(tokens))
        return found

    def last_hidden(self, tokens: Sequence[int], batch: Batch) -> Any:
        """What `CausalLM.last_hidden` returns."""
        if self.program is not None and self._recorded(batch) and self._hidden.known:
            return self._hidden.run(tokens, batch)
        batch.adapted = True  # so that it runs as it is written
        return CausalLM.last_hidden(self._model, tokens, batch)

    def _places(self, batch: Batch) -> bool:
        """Whether all layers that are replaced during a step are operations of their own."""
        return self._crosses(batch) and batch.replaced.replaced.keys() <= self._adapted.products

    def _recorded(self, batch: Batch) -> bool:
        """Whether the recorded step can take a batch: not with adapters, nor with rows that
        cross-attend unless all do."""
        return self._crosses(batch) and not batch.adapted

    def _crosses(self, batch: Batch) -> bool:
        """Whether its rows cross-attend as they do in the recorded step."""
        if not self._model.crosses:
            return batch.cross is None
        return isinstance(batch.cross, CrossRows)
