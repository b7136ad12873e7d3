"""Steps with adapters: those of equal adapters together, the others without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tramontane.blocks import CausalLM
    from tramontane.engine.batch import Batch
    from tramontane.engine.sequence import Sequence as Running

    from .adapter import Applied


def by_adapters(work: list[tuple[Running, int]]) -> list[list[tuple[Running, int]]]:
    """The pieces of a step in parts that have the same adapters, first those without any."""
    if not any(one.request.adapters for one, _ in work):
        return [work]
    parts: dict[bytes, list[tuple[Running, int]]] = {b"": []}
    for piece in work:
        parts.setdefault(piece[0].adapters, []).append(piece)
    return [part for part in parts.values() if part]


def step_with(
    adapters: Applied | None, model: CausalLM, tokens: Sequence[int], batch: Batch
) -> Any:
    """A model's step while it has these adapters; None: without. Returns what `step` does."""
    if adapters is None:
        return model.step(tokens, batch)
    batch.adapted = True
    with adapters.on():
        return model.step(tokens, batch)
