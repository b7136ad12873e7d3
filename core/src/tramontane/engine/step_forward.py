"""A step's rows put through the model: with their media, their adapters, and what these need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import hidden_rows
from .batch import Batch
from .cross_keys import CrossCache
from .kv_cache import KVCache
from .media_rows import MediaRows
from .scaling_pass import ScalingPass
from .step_rows import Rows, rows_of

if TYPE_CHECKING:
    from tramontane.checkpoint.load import Loaded

    from .sequence import Sequence

    Work = list[tuple[Sequence, int]]


class StepForward:
    """media, cross: of models that take media. company: see `MediaLM.in_company`."""

    def __init__(
        self,
        loaded: Loaded,
        cache: KVCache,
        media: MediaRows | None,
        cross: CrossCache | None,
        *,
        force: bool = False,
    ) -> None:
        self._model, self._cache = loaded.model, cache
        self._media, self._cross = media, cross
        self._company = media is not None and media.in_company
        self.scaling = ScalingPass(loaded, cache, force=force)

    def __call__(self, work: Work, wanted: list[range]) -> Rows:
        """The logits of the rows that are wanted, (rows, vocabulary)."""
        tokens, batch = rows_of(work, wanted, self._cache)
        self._put(batch, work)
        if work[-1][0].request.adapters is not None:
            batch.shares = self.scaling.shares(work, self._put)
        return hidden_rows.step(work, self._model, tokens, batch, company=self._company)  # type: ignore[no-any-return]

    def _put(self, batch: Batch, work: Work) -> None:
        if self._media is not None and self._cross is not None:
            self._media.put(batch, work)
            self._cross.put(batch, work)
