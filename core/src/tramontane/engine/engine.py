"""The engine: one thread that steps all running requests together.

What is asked of it and what comes back passes between threads; all else, the scheduler, the cache
and the sequences, belongs to the engine's own.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial

import torch

from tramontane.adapters.steps import by_adapters
from tramontane.blocks import MediaLM
from tramontane.checkpoint.load import Loaded
from tramontane.errors import EngineBusy, ModelLost, RequestError
from tramontane.registry import Registry
from tramontane.tokenizer.tokenizer import Tokenizer

from .cross_keys import CrossCache, cross_cache
from .deciding import Deciding
from .device_errors import failure_of, said_of, said_of_loss, smaller
from .drafting import drafting_of
from .kv_cache import BLOCK_SIZE
from .kv_size import cache_of, kv_blocks
from .media_rows import MediaRows, apart
from .options import EngineOptions
from .overlap import OverlapWorker
from .request import RETRY_AFTER, Event, FinishReason, Request
from .request_check import refuse_impossible
from .sampler_cache import Chains
from .scheduler import Scheduler
from .sequence import Sequence
from .shutdown import close_at_exit
from .stats import EngineStats, figures_of
from .step_forward import StepForward
from .step_rows import Rows, extents_matter, wanted_rows, warm

log = logging.getLogger(__name__)


class Engine:
    """Submit requests, receive events. `sink` is called from the engine's thread, and must return
    soon."""

    def __init__(
        self,
        loaded: Loaded,
        tokenizer: Tokenizer,
        registry: Registry,
        options: EngineOptions | None = None,
        *,
        force: bool = False,
    ) -> None:
        """Raises ConfigError, NotEnoughMemory for a cache that cannot be; force: try it."""
        self.loaded, self.tokenizer, self.registry = loaded, tokenizer, registry
        self.options = options or EngineOptions()
        blocks = kv_blocks(loaded, self.options, force=force)
        self.context_length = min(loaded.context_length, blocks * BLOCK_SIZE)
        device = torch.device(loaded.device.torch_device)
        self._resumable = not extents_matter(loaded.model)
        remember = self.options.prefix_cache and self._resumable
        self._resumable = self._resumable and loaded.team is None  # ranks have each their part
        self.cache = cache_of(loaded, blocks, self.options, remember=remember, force=force)
        batch_size, max_seqs = max(1, self.options.batch_size), max(1, self.options.max_seqs)
        self._scheduler = Scheduler(
            self.cache,
            max_seqs=max_seqs,
            batch_size=batch_size,
            max_batched_tokens=self.options.max_batched_tokens or batch_size + max_seqs,
        )
        self._mixes = loaded.model.mixes
        self.media: MediaRows | None = None
        cross: CrossCache | None = None
        if isinstance(loaded.model, MediaLM):
            self.media = MediaRows(loaded.model, device, self.options.media_cache)
            cross = cross_cache(
                loaded, self.media, self._scheduler.running, self.options.media_cache
            )
            self._scheduler.encoded = cross.encoded
            self._scheduler.in_company = self.media.in_company
        self._company = self.media is not None and self.media.in_company
        self._apart = self.media is not None and not self._company
        if loaded.team is not None:
            loaded.team.lead(loaded.model, self.cache)
        self.forward = StepForward(loaded, self.cache, self.media, cross, force=force)
        vocabulary = loaded.config.vocab_size
        self.drafting = drafting_of(self.options.draft, self._scheduler, vocabulary)
        self._overlap = OverlapWorker()
        self.chains = Chains(
            registry, tokenizer, vocab_size=vocabulary, context_length=self.context_length,
            forces=self.options.forced_tokens,
        )  # fmt: skip
        self._deciding = Deciding(self._sequence, self._take, self._finish, self._fail)
        self._arrivals = itertools.count()
        self._arrived: list[Sequence] = []
        self._steps = self._failed_steps = 0
        self._wake = threading.Condition()
        self._closed = self._draining = self._busy = False
        self._cancelled = False
        """Whether a request has been since this was looked at."""
        self._lost = ""
        self._thread = threading.Thread(target=self._loop, name="tramontane-engine", daemon=True)
        self._thread.start()
        close_at_exit(self)

    def submit(self, request: Request, sink: Callable[[Event], None]) -> Callable[[], None]:
        """Queue a request; returns what cancels it.

        Raises RequestError for what can never run, EngineBusy for what cannot now, ModelLost.
        """
        vocabulary, sees = self.loaded.config.known_tokens, self.media is not None
        refuse_impossible(request, self.tokenizer, vocabulary, self.context_length, sees=sees)
        given = request.params.seed
        sequence = self._sequence(request, sink, secrets.randbits(63) if given is None else given)

        def cancel() -> None:
            with self._wake:
                sequence.cancelled = self._cancelled = True
                self._wake.notify_all()

        with self._wake:
            if self._closed:
                raise RequestError("the engine is closed")
            if self.lost:
                raise ModelLost(self.lost, RETRY_AFTER)
            if self._draining:
                raise EngineBusy("the engine is shutting down", RETRY_AFTER)
            waiting = len(self._arrived) + len(self._scheduler.waiting) + self._deciding.beside
            if self.options.max_waiting is not None and waiting >= self.options.max_waiting:
                text = f"{waiting} requests are waiting, and the queue is full; try again later"
                raise EngineBusy(text, RETRY_AFTER)
            self._arrived.append(sequence)
            self._wake.notify_all()
        return cancel

    def _sequence(self, request: Request, sink: Callable[[Event], None], seed: int = 0) -> Sequence:
        chain, order = self.chains.build(request.params, seed, request.steps), next(self._arrivals)
        return Sequence(request, chain, seed, self.tokenizer, self.context_length, sink, order)

    @property
    def lost(self) -> str:
        """Why nothing can be computed any more, if that is so: a device or a rank is gone."""
        team = self.loaded.team
        return self._lost or ("" if team is None else team.lost)

    def stats(self) -> EngineStats:
        """What is going on, from any thread."""
        return EngineStats(
            running=len(self._scheduler.running),
            waiting=len(self._arrived) + len(self._scheduler.waiting) + self._deciding.beside,
            steps=self._steps,
            failed_steps=self._failed_steps,
            **figures_of(self.cache, self._scheduler.counts),
        )

    def drain(self, timeout: float | None = None) -> bool:
        """Take no more requests and wait for those that are here; whether all ended in time."""
        with self._wake:
            self._draining = True
            return self._wake.wait_for(lambda: not self._busy and not self._arrived, timeout)

    def close(self, timeout: float | None = None) -> None:
        """Cancel what runs and end the thread, waiting for it no longer than `timeout` seconds."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
            self.chains.close(timeout)

    def _loop(self) -> None:
        scheduler = self._scheduler
        while True:
            with self._wake:
                while not (self._closed or self._arrived or scheduler.waiting or scheduler.running):
                    self._busy = False
                    self._wake.notify_all()
                    self._wake.wait()
                if self._closed:
                    break
                self._busy = True
                arrived, self._arrived = self._arrived, []
                cancelled, self._cancelled = self._cancelled, False
            # a step comes after another's kernels, when all code is cold: so not a call too many
            try:
                if arrived:
                    self._take(arrived)
                if cancelled:
                    self._drop_cancelled()
                if scheduler.waiting:
                    for sequence in scheduler.admit():
                        self._begin(sequence)
                    self._drop_late()
                if work := scheduler.plan():
                    if self.drafting is not None:
                        work = self.drafting.added(work)
                    for part in apart(work) if self._apart else [work]:
                        for alike in by_adapters(part, self._mixes, company=self._company):
                            self._step(alike)
                if self.media is not None:
                    self.media.advance(scheduler.running, self._fail, beside=bool(work))
            except Exception as error:  # whatever it is, nobody may wait for ever
                log.exception("the engine's loop failed")
                for sequence in list(scheduler.running) or scheduler.waiting[:1]:
                    self._fail(sequence, error)
        self._overlap.close()
        for sequence in [*self._arrived, *scheduler.running, *scheduler.waiting]:
            self._finish(sequence, "cancelled")
        with self._wake:
            self._busy = False
            self._arrived = []
            self._wake.notify_all()

    def _take(self, arrived: list[Sequence]) -> None:
        here = {s.request.id: s for s in (*self._scheduler.waiting, *self._scheduler.running)}
        for sequence in self._deciding.of(arrived):
            here[sequence.request.id] = sequence
            leader = here.get(sequence.request.fork_of or "")
            if leader is None or leader.history.output:
                self._scheduler.add(sequence)
            else:
                leader.followers.append(sequence)

    def _drop_cancelled(self) -> None:
        scheduler = self._scheduler
        self._deciding.drop_cancelled()
        for sequence in [*scheduler.running, *scheduler.waiting]:
            for follower in [f for f in sequence.followers if f.cancelled]:
                sequence.followers.remove(follower)
                self._finish(follower, "cancelled")
            if sequence.cancelled:
                self._finish(sequence, "cancelled")

    def _drop_late(self) -> None:
        limit = self.options.queue_timeout
        for sequence in [] if limit is None else self._scheduler.late(limit):
            said = f"not scheduled within {limit:g} s (queue timeout); try again later"
            self._finish(sequence, "error", said, busy=True)

    def _begin(self, sequence: Sequence) -> None:
        first = not sequence.started
        sequence.start()
        resume = sequence.request.resume
        if resume is None or not first or not self._resumable or not sequence.resumes(resume):
            return
        try:
            media, prompt = sequence.request.media, sequence.request.prompt
            known = prompt if media is None else prompt[: media.first]
            count = resume.resume(self.cache, known, sequence.blocks, sequence.slot or 0)
        except Exception as error:  # noqa: BLE001 - a snapshot of another model, say
            self._finish(sequence, "error", f"cannot resume: {error}")
        else:
            sequence.cached = count
            self._scheduler.computed(sequence, count)

    def _step(self, work: list[tuple[Sequence, int]]) -> None:
        started = time.perf_counter()
        self._steps += 1
        self._overlap.start([
            partial(prepare, sequence.history) for sequence, count in work
            if sequence.chain.prepares and sequence.ends_in(count) and sequence.draws
            for prepare in sequence.chain.prepares
        ])  # fmt: skip
        wanted = [wanted_rows(sequence, count) for sequence, count in work]
        try:
            logits = self.forward(work, wanted)
        except Exception as error:
            self._overlap.wait()
            self._failed_steps += 1
            log.exception("a step failed")
            if (failure := failure_of(error)) == "lost":
                self._lose(error)
            elif failure == "memory" and (parts := smaller(work, self._scheduler)) is not None:
                for one in parts:
                    self._step(one)
            elif len(work) == 1:
                self._fail(work[0][0], error)
            elif self.cache.states:  # some layers' states have gone on, and others' have not
                for sequence, count in work:
                    self._scheduler.suspect(sequence, count)
            else:  # perhaps it was one of them: none has changed yet, so each can go by itself
                for piece in work:
                    self._step([piece])
            return
        self._overlap.wait()
        seconds = time.perf_counter() - started
        if self.drafting is not None:
            self.drafting.stepped(work, seconds)
        decoding = sum([sequence.decoding for sequence, _ in work])
        tokens = sum([count - len(sequence.drafts) for sequence, count in work])
        self._scheduler.pace.measured(decoding, tokens - decoding, seconds)
        row = 0
        for (sequence, count), rows in zip(work, wanted, strict=True):
            found = logits[row : row + len(rows)]
            row += len(rows)
            if self.drafting is None or not sequence.drafts:
                self._advance(sequence, count, found)
                continue
            for part, part_rows in self.drafting.verified(sequence, count, found):
                self._advance(sequence, part, part_rows)

    def warm(self) -> None:
        """Do what is done once, before the first request does: compile kernels, take buffers."""
        warm(self.loaded.model, self.cache)
        if self.drafting is not None:
            self.drafting.warm()

    def _advance(self, sequence: Sequence, count: int, logits: Rows) -> None:
        first = sequence.computed
        scored = sequence.scores and first < len(sequence.request.prompt)  # every row was asked for
        rows = logits[len(logits) - len(sequence.awaited(count)) :] if scored else logits
        self._scheduler.computed(sequence, count)
        try:
            if scored:
                sequence.score(first, logits)
            if sequence.pending:
                sequence.tell(rows)
                return
            if sequence.followers:
                self._fork(sequence, rows)
            self._draw(sequence, rows)
        except Exception as error:
            log.debug("a request failed", exc_info=True)
            self._fail(sequence, error)

    def _fork(self, leader: Sequence, rows: Rows) -> None:
        """Let those that waited for a sequence's prompt go on from it."""
        followers, leader.followers = leader.followers, []
        for follower in followers:
            if self._scheduler.fork(leader, follower):
                follower.start()
                self._draw(follower, rows)
            else:
                self._scheduler.add(follower)

    def _draw(self, sequence: Sequence, logits: Rows) -> None:
        if sequence.budget <= 0:
            self._finish(sequence, "length")
            return
        before = sequence.forced
        try:
            reason = sequence.accept(logits)
        except Exception as error:
            log.debug("drawing a token failed", exc_info=True)
            self._fail(sequence, error)
            return
        self._scheduler.counts.forced_tokens += sequence.forced - before
        if reason is not None:
            self._finish(sequence, reason)

    def _lose(self, error: Exception) -> None:
        """A device is gone: end all requests, and take no more."""
        self._lost = said_of_loss(self.loaded.report.device, error)
        for sequence in [*self._scheduler.running, *self._scheduler.waiting]:
            self._finish(sequence, "error", self._lost, busy=True)

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        if failure_of(error) == "lost":
            self._lose(error)
            return
        # what it computed may be why
        self.cache.pool.unlearn(sequence.blocks)
        self.cache.states.forget(sequence.digests(sequence.computed // BLOCK_SIZE))
        self._finish(sequence, "error", said_of(error), refused=isinstance(error, RequestError))

    def _finish(
        self,
        sequence: Sequence,
        reason: FinishReason,
        error: str | None = None,
        *,
        busy: bool = False,
        refused: bool = False,
    ) -> None:
        snapshot = None
        whole = self.loaded.team is None
        if whole and sequence.request.keep and error is None and sequence.blocks:
            snapshot = sequence.copied(self.cache)
        self._scheduler.remove(sequence)
        if self.drafting is not None:
            self.drafting.guesser.ended(sequence)
        for follower in sequence.followers:
            self._scheduler.add(follower)
        sequence.followers = []
        try:
            result = sequence.finish(
                reason, snapshot, error, busy=busy, lost=busy and self._lost != "", refused=refused
            )
        except Exception:  # its listener is gone, or broken; the others are not
            log.exception("nobody takes the end of request %s", sequence.request.id)
            return
        if not sequence.watched:
            self.registry.tell("request_finished", result=result)
