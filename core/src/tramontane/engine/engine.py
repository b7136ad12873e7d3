"""The engine: one thread that steps all running requests together.

A step's batch holds one token of every sequence that decodes, and a chunk of the prompts that
wait, up to `chunk` tokens. A request is admitted when the cache has blocks for all that it may
become, so that nothing that runs ever has to stop.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable

import numpy as np
import torch

from tramontane.checkpoint.load import Loaded
from tramontane.errors import RequestError
from tramontane.plugin import Sampler
from tramontane.registry import Registry
from tramontane.sampling import SamplerContext
from tramontane.sampling.chain import build_chain
from tramontane.tokenizer.tokenizer import Tokenizer

from .batch import Batch
from .kv_cache import BLOCK_SIZE, KVCache
from .request import Event, FinishReason, Request
from .sequence import Sequence, log_normalizer
from .snapshot import Snapshot

log = logging.getLogger(__name__)
SCORE_CHUNK = 64
"""Prompt tokens per step when every one's logits are wanted."""


class Engine:
    """Submit requests, receive events. `sink` is called from the engine's thread, and must return
    soon and not raise.

    kv_tokens: how many tokens of context all running requests may hold together.
    chunk: prompt tokens per step. max_seqs: requests that run at once.
    """

    def __init__(
        self,
        loaded: Loaded,
        tokenizer: Tokenizer,
        registry: Registry,
        *,
        kv_tokens: int | None = None,
        chunk: int = 512,
        max_seqs: int = 32,
    ) -> None:
        self.loaded, self.tokenizer, self.registry = loaded, tokenizer, registry
        self.context_length = loaded.context_length
        self.chunk, self.max_seqs = max(1, chunk), max_seqs
        blocks = -(-max(kv_tokens or 0, self.context_length) // BLOCK_SIZE)
        device = torch.device(loaded.device.torch_device)
        self.cache = KVCache(loaded.model, blocks, loaded.kv_dtype, device)
        self._resumable = not any(
            rope.scaling is not None and rope.scaling.grows
            for module in loaded.model.modules()
            if (rope := getattr(module, "rope", None)) is not None
        )
        self._samplers = registry.all(Sampler)
        self._kept: dict[str, object] = {}
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="tramontane-engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request, sink: Callable[[Event], None]) -> Callable[[], None]:
        """Queue a request; returns what cancels it. Raises RequestError for what can never run."""
        self._check(request)
        params = request.params
        seed = params.seed if params.seed is not None else secrets.randbits(63)
        context = SamplerContext(
            vocab_size=self.loaded.config.vocab_size,
            seed=seed,
            context_length=self.context_length,
            eos_ids=self.tokenizer.eos_ids,
            encode=lambda text: self.tokenizer.encode(text, add_special=False),
            decode=lambda ids: self.tokenizer.decode(ids, skip_special=False),
            token_bytes=self.tokenizer.token_bytes,
            special_ids=self.tokenizer.special_ids,
            kept=self._kept,
        )
        chain = build_chain(params, self._samplers, context)
        sequence = Sequence(request, chain, seed, self.tokenizer, self.context_length, sink)

        def cancel() -> None:
            with self._wake:
                sequence.cancelled = True
                self._wake.notify()

        with self._wake:
            if self._closed:
                raise RequestError("the engine is closed")
            self._waiting.append(sequence)
            self._wake.notify()
        return cancel

    def close(self) -> None:
        """Cancel what runs and end the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _check(self, request: Request) -> None:
        count, vocabulary = len(request.prompt), self.loaded.config.vocab_size
        if count == 0:
            raise RequestError("the prompt is empty: there is nothing to continue")
        if count >= self.context_length and not (
            request.params.max_tokens == 0 and count == self.context_length
        ):
            raise RequestError(
                f"the prompt has {count} tokens and the context {self.context_length}; shorten it "
                "or raise --num-ctx (num_ctx in Python): nothing is cut off in silence"
            )
        for token in request.prompt:
            if not 0 <= token < vocabulary:
                raise RequestError(f"token {token} is outside the vocabulary of {vocabulary}")

    def _loop(self) -> None:
        while True:
            with self._wake:
                while not (self._closed or self._waiting or self._running):
                    self._wake.wait()
                if self._closed:
                    break
                self._admit()
            self._drop_cancelled()
            if self._running:
                self._step()
        for sequence in [*self._running, *self._waiting]:
            self._finish(sequence, "cancelled")

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self.max_seqs:
            sequence = self._waiting[0]
            need = -(-sequence.most_tokens // BLOCK_SIZE)
            if need > self.cache.free:
                return
            self._waiting.popleft()
            sequence.blocks = self.cache.take(need)
            self._running.append(sequence)
            sequence.start()
            try:
                self._resume(sequence)
            except Exception as error:  # noqa: BLE001 - a snapshot of another model, say
                self._finish(sequence, "error", f"cannot resume: {error}")

    def _resume(self, sequence: Sequence) -> None:
        resume = sequence.request.resume
        if resume is None or not self._resumable or sequence.request.score_prompt:
            return
        sequence.computed = sequence.cached = resume.shared(sequence.request.prompt)
        resume.put(self.cache, sequence.blocks, sequence.computed)

    def _drop_cancelled(self) -> None:
        for sequence in [s for s in [*self._running, *self._waiting] if s.cancelled]:
            self._finish(sequence, "cancelled")

    def _step(self) -> None:
        work = self._choose()
        try:
            logits = self._forward(work)
        except Exception as error:
            log.exception("a step failed")
            for sequence, _ in work:
                self._finish(sequence, "error", f"{type(error).__name__}: {error}")
            return
        row = 0
        for sequence, count in work:
            rows = self._wanted(sequence, count)
            self._advance(sequence, count, logits[row : row + len(rows)])
            row += len(rows)

    def _choose(self) -> list[tuple[Sequence, int]]:
        """Which sequences to step, and with how many tokens each."""
        room = self.chunk
        work = []
        for sequence in self._running:
            if not sequence.waits_for_prompt:
                work.append((sequence, 1))
        for sequence in self._running:
            if sequence.waits_for_prompt and room > 0:
                left = len(sequence.request.prompt) - sequence.computed
                most = min(SCORE_CHUNK, room) if sequence.request.score_prompt else room
                count = min(left, most)
                room -= count
                work.append((sequence, count))
        return work

    def _wanted(self, sequence: Sequence, count: int) -> list[int]:
        """Offsets of a sequence's tokens in this step whose logits are needed."""
        if sequence.request.score_prompt and sequence.waits_for_prompt:
            return list(range(count))
        last = sequence.computed + count
        return [count - 1] if last >= len(sequence.request.prompt) else []

    @torch.inference_mode()
    def warm(self) -> None:
        """Put a token through the model before the first request does, so that what is done once
        is done: kernels compiled, buffers taken."""
        blocks = self.cache.take(1)
        token = torch.zeros(1, dtype=torch.int64, device=self.cache.device)
        try:
            self.loaded.model(token, Batch.of([(0, 1, 1, blocks, [0])], self.cache))
        except Exception as error:  # noqa: BLE001 - the request that meets it is told
            log.debug("the first step failed: %s", error)
        finally:
            self.cache.give_back(blocks)

    @torch.inference_mode()
    def _forward(
        self, work: list[tuple[Sequence, int]]
    ) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        tokens: list[int] = []
        pieces = []
        for sequence, count in work:
            tokens.extend(sequence.tokens(sequence.computed, count))
            pieces.append(
                (
                    sequence.computed,
                    count,
                    len(sequence.request.prompt),
                    sequence.blocks,
                    self._wanted(sequence, count),
                )
            )
        batch = Batch.of(pieces, self.cache)
        ids = torch.tensor(tokens, dtype=torch.int64, device=self.cache.device)
        logits = self.loaded.model(ids, batch)
        return logits.float().cpu().numpy()  # type: ignore[no-any-return]

    def _advance(
        self,
        sequence: Sequence,
        count: int,
        logits: np.ndarray[tuple[int, int], np.dtype[np.float32]],
    ) -> None:
        scored = sequence.request.score_prompt and sequence.waits_for_prompt
        first = sequence.computed
        sequence.computed += count
        if scored:
            following = sequence.request.prompt[first + 1 : first + count + 1]
            for row, token in zip(logits, following, strict=False):
                sequence.prompt_logprobs.append(float(row[token]) - log_normalizer(row))
        if sequence.waits_for_prompt or not len(logits):
            return
        if sequence.budget <= 0:
            self._finish(sequence, "length")
            return
        try:
            reason = sequence.accept(logits[-1])
        except Exception as error:
            log.debug("drawing a token failed", exc_info=True)
            self._finish(sequence, "error", str(error) or type(error).__name__)
            return
        if reason is not None:
            self._finish(sequence, reason)

    def _finish(self, sequence: Sequence, reason: FinishReason, error: str | None = None) -> None:
        snapshot = None
        if sequence.request.keep and error is None and sequence.blocks:
            tokens = [*sequence.request.prompt, *sequence.history.output][: sequence.computed]
            snapshot = Snapshot.take(self.cache, sequence.blocks, tokens)
        self.cache.give_back(sequence.blocks)
        sequence.blocks = []
        if sequence in self._running:
            self._running.remove(sequence)
        elif sequence in self._waiting:
            self._waiting.remove(sequence)
        result = sequence.finish(reason, snapshot, error)
        self.registry.tell("request_finished", result=result)
