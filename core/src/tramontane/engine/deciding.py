"""Requests whose adapters their prompt decides: the prompt is computed first by the model alone,
seen by the adapter, as a request of its own among the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from tramontane.adapters.prompted import PromptAdapter, Watch
from tramontane.sampling_params import SamplingParams

from .request import Event, Finished, Request, RequestResult
from .sequence import Sequence

Begun: TypeAlias = Callable[[Request, Callable[[Event], None]], Sequence]
"""Makes a sequence, given where its events go."""
NOTHING = SamplingParams(max_tokens=0, temperature=0)
"""No token is drawn: the prompt is only computed."""


@dataclass
class _Pending:
    """Sequences with one prompt, and the one that computes it for them."""

    watch: Watch
    seen: Sequence
    waiting: list[Sequence] = field(default_factory=list)


class Deciding:
    """The engine's thread alone touches it. begun: see `Begun`. ready: takes sequences that are
    decided, in the order of their arrival. failed: takes one whose prompt could not be computed,
    and how that ended; broken: one about which nothing could be decided, and why."""

    def __init__(
        self,
        begun: Begun,
        ready: Callable[[list[Sequence]], None],
        failed: Callable[[Sequence, RequestResult], None],
        broken: Callable[[Sequence, Exception], None],
    ) -> None:
        self._begun, self._ready, self._failed, self._broken = begun, ready, failed, broken
        self._pending: dict[tuple[object, ...], _Pending] = {}

    def first(self, sequence: Sequence) -> Sequence | None:
        """What is to run for a sequence that has arrived: itself where there is nothing to decide,
        what decides for it, or None where that runs already."""
        request = sequence.request
        adapter = request.adapters
        if not isinstance(adapter, PromptAdapter):
            return sequence
        if (known := adapter.known(request)) is not None:
            sequence.decide(known)
            return sequence
        # media are told apart by the items themselves: those of one conversation are the same
        key = (adapter.digest, request.prompt, id(request.media))
        pending = self._pending.get(key)
        if pending is not None and not pending.seen.cancelled:
            pending.waiting.append(sequence)
            return None
        watch = adapter.watch(request)
        only = Request(
            prompt=request.prompt, params=NOTHING, priority=request.priority, media=request.media,
            adapters=watch,
        )  # fmt: skip
        made = _Pending(watch, self._begun(only, lambda event: self._ended(key, made, event)))
        made.waiting.append(sequence)
        self._pending[key] = made
        return made.seen

    def cancelled(self) -> list[Sequence]:
        """Sequences that wait no longer, since they were cancelled; what was computed for them
        alone is cancelled too."""
        found = []
        for pending in self._pending.values():
            gone = [each for each in pending.waiting if each.cancelled]
            found += gone
            pending.waiting = [each for each in pending.waiting if not each.cancelled]
            pending.seen.cancelled |= not pending.waiting
        return found

    def _ended(self, key: tuple[object, ...], pending: _Pending, event: Event) -> None:
        if not isinstance(event, Finished):
            return
        if self._pending.get(key) is pending:
            del self._pending[key]
        waiting, result = pending.waiting, event.result
        if result.finish_reason in ("error", "cancelled"):
            for sequence in waiting:
                self._failed(sequence, result)
            return
        try:
            decided = pending.watch.decided()
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            for sequence in waiting:
                self._broken(sequence, error)
            return
        for sequence in waiting:
            sequence.decide(decided)
        self._ready(waiting)
