"""Rank 0: its engine steps the model as always, and the other ranks are told each step."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tramontane.blocks import CausalLM
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache

from .group import Group, PeerLost
from .message import BEAT, BEGIN, END, HIDDEN, STEP, Copies, simple, step_message

log = logging.getLogger(__name__)
BEATS = 4
"""How often within the time limit the others hear of rank 0 while nothing is computed."""


ENDED = PeerLost("the ranks have ended")


class _Noted:
    """Notes what is copied within a cache."""

    def __init__(self, pairs: list[tuple[int, int]]) -> None:
        self._pairs = pairs

    def copy(self, source: int, target: int) -> None:
        self._pairs.append((source, target))


class Leader:
    """Stands before a model's `step` and `last_hidden`.

    time_limit: the group's, in seconds. explained: says more of a rank that is lost.
    """

    def __init__(
        self,
        group: Group,
        model: CausalLM,
        cache: KVCache,
        time_limit: float,
        explained: Callable[[PeerLost], PeerLost] = lambda error: error,
    ) -> None:
        self._group, self._time_limit, self._explained = group, time_limit, explained
        self._copies = Copies()
        self._lock = threading.Lock()
        self._lost: PeerLost | None = None
        self._told = time.monotonic()
        self._over = threading.Event()
        self._step, self._hidden = model.step, model.last_hidden
        self._tell(simple(BEGIN, blocks=cache.blocks, slots=cache.states.count))
        model.step = self.step  # type: ignore[method-assign]
        model.last_hidden = self.last_hidden  # type: ignore[method-assign]
        cache.mirrors.append(_Noted(self._copies.blocks))
        cache.states.mirrors.append(_Noted(self._copies.states))
        threading.Thread(target=self._beat, name="tramontane-beat", daemon=True).start()

    def step(self, tokens: Sequence[int], batch: Batch) -> Any:
        """`CausalLM.step` of all ranks."""
        return self._together(STEP, self._step, tokens, batch)

    def last_hidden(self, tokens: Sequence[int], batch: Batch) -> Any:
        """`CausalLM.last_hidden` of all ranks."""
        return self._together(HIDDEN, self._hidden, tokens, batch)

    @property
    def why(self) -> str:
        """Which rank is gone; empty: none is."""
        error = self._lost
        return "" if error is None or error is ENDED else error.message

    def close(self) -> None:
        """Tell the others that nothing comes any more."""
        self._over.set()
        with self._lock:
            if self._lost is None:
                try:
                    self._tell(simple(END))
                except PeerLost as error:
                    log.debug("a rank went before the end: %s", error)
                self._lost = ENDED
        self._group.close()

    def _together(
        self, kind: int, compute: Callable[..., Any], tokens: Sequence[int], batch: Batch
    ) -> Any:
        with self._lock:
            if self._lost is not None:
                raise PeerLost(str(self._lost)) from self._lost
            try:
                self._tell(step_message(kind, tokens, batch, self._copies))
                self._copies.blocks.clear()
                self._copies.states.clear()
                return compute(tokens, batch)
            except Exception as error:
                # the others are in the middle of the step: nothing can be told them any more
                if isinstance(error, PeerLost):
                    self._lost = self._explained(error)
                else:
                    said = f"{type(error).__name__}: {error}"
                    self._lost = PeerLost(f"rank 0 could not compute its part: {said}")
                self._group.close()
                raise self._lost from error
            finally:
                self._told = time.monotonic()

    def _tell(self, message: bytes) -> None:
        self._group.broadcast(message)
        self._told = time.monotonic()

    def _beat(self) -> None:
        pause = self._time_limit / BEATS
        while not self._over.wait(pause):
            with self._lock:
                if self._lost is not None:
                    return
                if time.monotonic() - self._told < pause:
                    continue
                try:
                    self._tell(simple(BEAT))
                except PeerLost as error:
                    self._lost = self._explained(error)
                    log.error("%s", self._lost)
                    self._group.close()
                    return
