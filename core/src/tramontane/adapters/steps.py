"""Steps with adapters: rows of different ones together where the model mixes them, others apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from tramontane.blocks import CausalLM
    from tramontane.engine.batch import Batch
    from tramontane.engine.sequence import Sequence as Running

    from .adapter import Applied
    from .prompted import Changes

    Work: TypeAlias = list[tuple[Running, int]]
Mixes: TypeAlias = "Callable[[Applied | Changes], bool] | None"


def by_adapters(work: Work, mixes: Mixes = None, *, company: bool = False) -> list[Work]:
    """The pieces of a step in parts: one of those without adapters and of those that the model
    mixes, in the order of their adapters; and one for each other adapter. company: see
    `MediaLM.in_company`."""
    if not any(one.request.adapters for one, _ in work):
        return [work]
    together: Work = []
    apart: dict[bytes, Work] = {}
    for piece in work:
        if _mixed(piece[0], mixes, company):
            together.append(piece)
        else:
            apart.setdefault(piece[0].adapters, []).append(piece)
    together.sort(key=lambda piece: piece[0].adapters)
    return [part for part in (together, *apart.values()) if part]


def _mixed(sequence: Running, mixes: Mixes, company: bool) -> bool:
    request = sequence.request
    if request.adapters is None:
        return True
    if request.media is not None and not company:  # its rows are computed as the model is written
        return False
    return mixes is not None and mixes(_decided(request.adapters))


def _decided(adapters: Any) -> Applied | Changes:
    """What runs is decided."""
    return cast("Applied | Changes", adapters)


def step_with(
    work: Work, model: CausalLM, tokens: Sequence[int], batch: Batch, *, company: bool = False
) -> Any:
    """A model's step for a part; company: as above. Returns what `step` does."""
    if work[-1][0].request.adapters is None:
        return model.step(tokens, batch)
    adapters = _decided(work[-1][0].request.adapters)
    if _mixed(work[-1][0], model.mixes, company):
        batch.adapters = tuple(_groups(work, batch))
        return model.step(tokens, batch)
    batch.adapted = True
    batch.replaced = None if adapters.replaced is None else adapters
    with adapters.on(batch):
        return model.step(tokens, batch)


def _groups(work: Work, batch: Batch) -> list[tuple[int, int, Applied | Changes]]:
    """First row, rows and adapters of those that are alike."""
    found = []
    pairs = zip(work, batch.spans, strict=True)
    for _, alike in groupby(pairs, lambda pair: pair[0][0].adapters):
        some = list(alike)
        (sequence, _), span = some[0]
        if sequence.request.adapters is not None:
            rows = sum(each.count for _, each in some)
            found.append((span.start, rows, _decided(sequence.request.adapters)))
    return found
