"""One request on every way through the engine: alone, on a known prefix, forked, preempted,
resumed.

Each token is put through the model in a forward pass of its own, so that matrix products have one
shape on every way. A model whose result depends on tokens and cache alone then gives the same bits
on each; one that keeps anything else between steps does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

import numpy as np
import tokenizers
import torch

from tramontane.blocks import CausalLM
from tramontane.checkpoint.load import Loaded
from tramontane.checkpoint.load_options import LoadReport
from tramontane.engine.batch import Batch
from tramontane.engine.engine import Engine
from tramontane.engine.kv_cache import BLOCK_SIZE, bytes_per_token
from tramontane.engine.options import EngineOptions
from tramontane.engine.request import Event, Finished, Request, RequestResult
from tramontane.engine.state_cache import bytes_per_sequence
from tramontane.registry import Registry
from tramontane.sampling_params import SamplingParams
from tramontane.system.devices import reference_device
from tramontane.tokenizer.tokenizer import Tokenizer

CONTEXT = 4 * BLOCK_SIZE
"""Tokens that the longest run takes: an example must allow as many positions."""
TIMEOUT = 120.0
"""Seconds after which a request that did not end is an error."""


@dataclass(frozen=True)
class Answer:
    """The tokens of an answer, and their exact log-probabilities."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]

    @classmethod
    def of(cls, result: RequestResult) -> Answer:
        """Raises RuntimeError when the request failed."""
        if result.error is not None:
            raise RuntimeError(f"the engine could not run the model: {result.error}")
        return cls(result.token_ids, tuple(entry.logprob for entry in result.logprobs or ()))


class EngineRuns:
    """Ways through the engine for one model on the reference. The model's `step` is replaced."""

    def __init__(self, model: CausalLM) -> None:
        self.model = model
        self._gate = threading.Event()
        self._alone: dict[tuple[object, ...], Answer] = {}
        model.step = self._step  # type: ignore[method-assign]

    def alone(self, prompt: Sequence[int], seed: int = 0, count: int = 10) -> Answer:
        """In an engine of its own, without a prefix cache: what all other ways must give. Asked
        for again, it is not computed again."""
        key = (tuple(prompt), seed, count)
        if key not in self._alone:
            with self._engine(prefix_cache=False) as engine:
                self._alone[key] = self._ask(engine, _request(prompt, seed, count))
        return self._alone[key]

    def again(self, prompts: Sequence[Sequence[int]], seed: int = 0) -> list[Answer]:
        """One after the other in one engine with a prefix cache."""
        with self._engine() as engine:
            return [self._ask(engine, _request(prompt, seed)) for prompt in prompts]

    def forked(self, prompt: Sequence[int], seeds: Sequence[int]) -> list[Answer]:
        """Several answers to one prompt, which is computed once (`n` of a request)."""
        first = _request(prompt, seeds[0])
        others = [replace(_request(prompt, seed), fork_of=first.id) for seed in seeds[1:]]
        options = {"prefix_cache": False, "batch_size": BLOCK_SIZE, "kv_tokens": 4 * CONTEXT}
        with self._engine(**options) as engine:
            results = self._ask_together(engine, [first, *others])
        copied = [result.usage.cached_tokens for result in results[1:]]
        if copied != [len(prompt)] * len(others):
            raise RuntimeError(f"the engine did not fork: {copied} tokens were shared")
        return [Answer.of(result) for result in results]

    def preempted(
        self, prompts: Sequence[Sequence[int]], count: int, *, prefix_cache: bool
    ) -> list[Answer]:
        """Together in a cache too small for all, the answer to prompt i drawn with seed i."""
        requests = [_request(prompt, seed, count) for seed, prompt in enumerate(prompts)]
        with self._engine(prefix_cache=prefix_cache, kv_tokens=CONTEXT) as engine:
            results = self._ask_together(engine, requests)
            if not engine.stats().preemptions:
                raise RuntimeError("the engine preempted nothing: the cache was large enough")
        return [Answer.of(result) for result in results]

    def resumed(self, prompt: Sequence[int], more: Sequence[int]) -> tuple[Answer, list[int]]:
        """The answer in a new engine to a conversation, from the saved keys and values of its
        beginning; and that conversation."""
        with self._engine(prefix_cache=False) as engine:
            saved = self._result(engine, replace(_request(prompt, 0), keep=True))
        whole = [*prompt, *saved.token_ids, *more]
        with self._engine(prefix_cache=False) as engine:
            request = replace(_request(whole, 0), resume=saved.snapshot)
            return self._ask(engine, request), whole

    @contextmanager
    def _engine(self, **options: Any) -> Iterator[Engine]:
        tokenizer = plain_tokenizer(self.model.cfg.vocab_size)
        # no plugin is told of these requests
        engine = Engine(on_reference(self.model), tokenizer, Registry([]), EngineOptions(**options))
        self._gate.set()
        try:
            yield engine
        finally:
            self._gate.set()
            engine.close()

    def _ask(self, engine: Engine, request: Request) -> Answer:
        return Answer.of(self._result(engine, request))

    def _result(self, engine: Engine, request: Request) -> RequestResult:
        return self._ask_together(engine, [request])[0]

    def _ask_together(self, engine: Engine, requests: Sequence[Request]) -> list[RequestResult]:
        # the first step waits until all requests are there
        self._gate.clear()
        ends = [_submit(engine, request) for request in requests]
        self._gate.set()
        return [end() for end in ends]

    @torch.inference_mode()
    def _step(self, tokens: Sequence[int], batch: Batch) -> Any:
        self._gate.wait()
        numbers, rows = batch.numbers, []
        wanted = set(numbers.wanted)
        for span in batch.spans:
            for row in range(span.start, span.start + span.count):
                piece = (numbers.positions[row], 1, numbers.extents[row], span.blocks, [0])
                one = Batch.of([piece], batch.cache, [span.slot])
                out = self.model(torch.tensor([tokens[row]]), one)
                if row in wanted:
                    rows.append(out.float().numpy())
        return np.concatenate(rows) if rows else np.empty((0, self.model.cfg.vocab_size), "<f4")


def answers(engine: Engine, requests: Sequence[Request]) -> list[Answer]:
    """Of requests that run together. Raises RuntimeError when one failed."""
    return [Answer.of(result) for result in results(engine, requests)]


def results(engine: Engine, requests: Sequence[Request]) -> list[RequestResult]:
    """The same, whole."""
    ends = [_submit(engine, request) for request in requests]
    return [end() for end in ends]


def plain_tokenizer(size: int) -> Tokenizer:
    """Token i is the text " i"; nothing ends an answer."""
    vocabulary = {f" {index}": index for index in range(size)}
    return Tokenizer(tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, " 0")))


def on_reference(model: CausalLM, context: int = CONTEXT) -> Loaded:
    """A model as the loader hands it to the engine, on the reference in float32."""
    device, context = reference_device(), min(context, model.cfg.max_position_embeddings)
    report = LoadReport(
        path="random", architecture=type(model).__name__, container="random", device=device.name,
        dtype="float32", kv_dtype="float32", layouts={}, kernels={}, bytes_in_file=0,
        kv_bytes_per_token=bytes_per_token(model, torch.float32), bytes_in_memory=0,
        state_bytes_per_sequence=bytes_per_sequence(model),
        context_length=context, seconds=0.0,
    )  # fmt: skip
    dtype = torch.float32
    return Loaded(model, model.cfg, device, dtype, dtype, context, report, torch.empty(0))


def _request(prompt: Sequence[int], seed: int, count: int = 10) -> Request:
    # drawn, so that forks go different ways
    params = SamplingParams(temperature=1.0, seed=seed, max_tokens=count, logprobs=True)
    return Request(prompt=tuple(prompt), params=params)


def _submit(engine: Engine, request: Request) -> Callable[[], RequestResult]:
    events: SimpleQueue[Event] = SimpleQueue()
    engine.submit(request, events.put)

    def end() -> RequestResult:
        while True:
            event = events.get(timeout=TIMEOUT)
            if isinstance(event, Finished):
                return event.result

    return end
