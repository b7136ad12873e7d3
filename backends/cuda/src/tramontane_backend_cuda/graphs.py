"""Steps that generate a token for each sequence, recorded once and started as a whole.

A step of a small model is hundreds of kernels, and starting them one by one takes longer than they
run. So a step is recorded for some numbers of rows (BUCKETS) and lengths of contexts; what a batch
says is written to fixed memory (`FixedBatch`), and the recording is played. Rows that a bucket has
too many repeat the first one: they write what it writes, and nobody reads their logits.

A step that was not recorded yet runs operation by operation, while the recording is made in the
background; so does any other step, with a prompt in it, say. Bits are the same in both ways, as no
kernel's row depends on others. Where a model cannot be recorded, a warning says why, once.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from tramontane.blocks import CausalLM
from tramontane.blocks.rope import Rope
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache

from .fixed_batch import FixedBatch, NotRecordable
from .plan import splits_of

log = logging.getLogger(__name__)
BUCKETS = (1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64)
"""Rows that steps are recorded for; larger ones run operation by operation."""


class Recording(NamedTuple):
    """result: where `play` writes what the recorded function returned."""

    result: Tensor
    play: Callable[[], None]


class Record(Protocol):
    """Records what a function starts on the device. Raises NotRecordable, or what torch raises."""

    def __call__(self, run: Callable[[], Tensor]) -> Recording: ...


class Key(NamedTuple):
    """What is fixed in a recording: rows, and programs that share a context."""

    rows: int
    splits: int


class RecordedSteps:
    """A model's `step`. background: what runs the making of a recording; some other thread's, or at
    once."""

    def __init__(
        self, model: CausalLM, record: Record, background: Callable[[Callable[[], None]], None]
    ) -> None:
        self._model, self._record, self._background = model, record, background
        self._eager = model.step
        self._ropes = ropes_of(model)
        self._made: dict[Key, tuple[FixedBatch, Recording]] = {}
        self._asked: set[Key] = set()
        self._cache: weakref.ref[KVCache] | None = None
        self._lock = Lock()
        self.why: str | None = None
        """Why nothing is recorded any more."""
        self.played = 0
        """Steps that were recordings."""

    @torch.inference_mode()
    def step(self, tokens: Sequence[int], batch: Batch) -> Any:
        """Implements `CausalLM.step`."""
        key = None if self.why else key_of(batch)
        if key is None:
            return self._eager(tokens, batch)
        self._follow(batch.cache)
        found = self._made.get(key)
        if found is None:
            result = self._eager(tokens, batch)  # which compiles what the recording will start
            self._ask(key, tokens, batch)
            return result
        fixed, recording = found
        fixed.load(tokens, batch)
        recording.play()
        self.played += 1
        return recording.result[: len(tokens)].float().cpu().numpy()

    def _follow(self, cache: KVCache) -> None:
        """Recordings hold addresses in a cache: with another one, they are made anew."""
        if self._cache is None or self._cache() is not cache:
            with self._lock:
                self._made, self._asked, self._cache = {}, set(), weakref.ref(cache)

    def _ask(self, key: Key, tokens: Sequence[int], batch: Batch) -> None:
        if key in self._asked:
            return
        self._asked.add(key)
        self._background(lambda: self._make(key, tokens, batch))

    @torch.inference_mode()
    def _make(self, key: Key, tokens: Sequence[int], batch: Batch) -> None:
        with self._lock:  # one at a time
            cache = None if self._cache is None else self._cache()
            if self.why is not None or cache is None or cache is not batch.cache:
                return
            try:
                fixed = FixedBatch(cache, key.rows, key.splits, self._ropes)
                fixed.load(tokens, batch)  # a device that runs what it records writes this again
                recording = self._record(lambda: self._model(fixed.tokens, fixed))
            except (NotRecordable, RuntimeError, NotImplementedError) as error:
                self.why = (str(error).splitlines() or [type(error).__name__])[0]
                self._made.clear()
                log.warning(
                    "steps are not recorded as CUDA graphs, and run operation by operation, "
                    "which is slower for small models: %s", self.why,
                )  # fmt: skip
                return
            self._made[key] = fixed, recording


def key_of(batch: Batch) -> Key | None:
    """The recording that a step may be; None: it must run operation by operation."""
    spans = batch.spans
    if len(spans) > BUCKETS[-1] or any(span.count != 1 or span.mutual for span in spans):
        return None
    odd = batch.media is not None or batch.cross is not None or batch.adapted or batch.adapters
    if odd or batch.placed or batch.cache.states:
        return None
    if not spans or list(batch.numbers.wanted) != list(range(len(spans))):
        return None
    rows = next(size for size in BUCKETS if size >= len(spans))
    return Key(rows, splits_of(max(span.length for span in spans)))


def ropes_of(model: CausalLM) -> list[Rope]:
    """The rotations of a model's layers, each once."""
    found: dict[tuple[object, ...], Rope] = {}
    for module in model.modules():
        rope = getattr(module, "rope", None)
        if isinstance(rope, Rope):
            found.setdefault(rope.settings, rope)
    return list(found.values())
