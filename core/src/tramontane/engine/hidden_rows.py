"""Hidden states of prompts, for those who ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from tramontane.adapters.steps import step_with

from .batch import Batch

if TYPE_CHECKING:
    from tramontane.blocks import CausalLM

    from .sequence import Sequence


def step(
    work: list[tuple[Sequence, int]],
    model: CausalLM,
    tokens: list[int],
    batch: Batch,
    *,
    company: bool = False,
) -> Any:
    """A model's step, as `step_with`; whoever asks for hidden states is told them. A model that
    does not keep them runs such a step as it is written, with the same bits."""
    asking = [piece for piece in work if piece[0].request.hidden is not None]
    if not asking:
        return step_with(work, model, tokens, batch, company=company)
    kept = model.keeps_hidden
    try:
        if not kept:
            model.keeps_hidden = batch.adapted = True
        found = step_with(work, model, tokens, batch, company=company)
        _tell(work, model.hidden)
    finally:
        model.keeps_hidden = kept
        if not kept:
            model.hidden = None
    return found


def _tell(work: list[tuple[Sequence, int]], hidden: Any) -> None:
    if hidden is None:
        raise ValueError("the model keeps no hidden states with these adapters")
    row = 0
    for sequence, count in work:
        told, rows = sequence.request.hidden, hidden[row : row + count]
        row += count
        if told is not None:
            numbers = rows.float().cpu().numpy() if isinstance(rows, Tensor) else rows
            told(sequence.computed, np.array(numbers, np.float32))
