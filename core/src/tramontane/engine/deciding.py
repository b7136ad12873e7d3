"""Requests whose adapters their prompt decides: the prompt is computed first by the model alone,
seen by the adapter, as a request of its own among the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from tramontane.adapters.prompted import PromptAdapter, Watch
from tramontane.sampling_params import SamplingParams

from .request import Event, Finished, Request
from .sequence import Sequence

log = logging.getLogger(__name__)
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
    decided, in the order of their arrival. finish: ends one whose prompt was not computed, as that
    ended; broken: one about which nothing could be decided, by why."""

    def __init__(
        self,
        begun: Begun,
        ready: Callable[[list[Sequence]], None],
        finish: Callable[..., None],
        broken: Callable[[Sequence, Exception], None],
    ) -> None:
        self._begun, self._ready, self._finish, self._broken = begun, ready, finish, broken
        self._pending: dict[tuple[object, ...], _Pending] = {}
        self.beside = 0
        """Sequences that wait for a prompt that is computed for another one."""

    def of(self, arrived: list[Sequence]) -> Iterator[Sequence]:
        """What is to run for sequences that have arrived: each itself where there is nothing to
        decide, or else what decides, once for equal ones."""
        for sequence in arrived:
            try:
                first = self._first(sequence)
            except Exception as error:
                log.exception("what decides about adapters failed")
                self._broken(sequence, error)
            else:
                if first is not None:
                    yield first

    def _first(self, sequence: Sequence) -> Sequence | None:
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
            self._count()
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

    def drop_cancelled(self) -> None:
        """End sequences that wait here and were cancelled, and cancel what runs for them alone."""
        for pending in list(self._pending.values()):
            gone = [each for each in pending.waiting if each.cancelled]
            pending.waiting = [each for each in pending.waiting if not each.cancelled]
            pending.seen.cancelled |= not pending.waiting
            for sequence in gone:
                self._finish(sequence, "cancelled")
        self._count()

    def _count(self) -> None:
        self.beside = sum(max(0, len(each.waiting) - 1) for each in self._pending.values())

    def _ended(self, key: tuple[object, ...], pending: _Pending, event: Event) -> None:
        if not isinstance(event, Finished):
            return
        if self._pending.get(key) is pending:
            del self._pending[key]
            self._count()
        waiting, result = pending.waiting, event.result
        if result.finish_reason in ("error", "cancelled"):
            for sequence in waiting:
                self._finish(
                    sequence, result.finish_reason, result.error, busy=result.busy,
                    refused=result.refused,
                )  # fmt: skip
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
