"""Vectors of texts: by an encoder, or of the hidden states of a model that writes text."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from tramontane.blocks.task_model import device_of
from tramontane.blocks.text_encoder import TokenTexts
from tramontane.errors import ConfigError, EngineBusy, NoTokenizer, RequestError

from .embed import Embeddings, EmbedOptions, Text
from .queue import Progress, Work
from .sentence_modules import Pipeline, pooled, read_pipeline
from .texts_in import TextsIn

if TYPE_CHECKING:
    from tramontane.model.loaded_model import LoadedModel

    from .opening import Opened

TOKENS = 1024
"""Rows that an encoder computes at once, about: texts are packed up to so many."""
AT_ONCE = 16
"""Texts of one request that an engine has at once."""
Rows = Generator[None, None, Iterator[tuple[int, Tensor]]]


class Source(Protocol):
    """What computes rows of texts."""

    most: int
    hidden: int
    vocabulary: int

    def rows(self, texts: Sequence[Sequence[int]]) -> Generator[tuple[int, Tensor] | None]:
        """Yields None where it may be interrupted, and an index with rows (tokens, hidden) of each
        text, in any order."""


class Encoded:
    """Rows of an encoder, `tramontane.blocks.TextEncoder`."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.most, self.hidden = int(model.max_tokens), int(model.width)
        self.vocabulary = int(model.cfg.vocab_size)

    def rows(self, texts: Sequence[Sequence[int]]) -> Generator[tuple[int, Tensor] | None]:
        for some in packed([len(text) for text in texts]):
            told = TokenTexts.of([texts[index] for index in some])
            rows = yield from self._model.rows(told)
            yield from zip(some, rows.cpu().split(list(told.lengths)), strict=True)


def packed(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of texts that are computed together."""
    some: list[int] = []
    total = 0
    for index, length in enumerate(lengths):
        if some and total + length > TOKENS:
            yield some
            some, total = [], 0
        some.append(index)
        total += length
    if some:
        yield some


class FromEngine:
    """Hidden states of a model that runs in the engine, behind its last norm."""

    def __init__(self, model: LoadedModel) -> None:
        self._engine, self._norm = model.engine, here(model.loaded.model.model.norm)
        self.most = model.engine.context_length
        self.hidden = model.loaded.config.hidden_size
        self.vocabulary = model.loaded.config.known_tokens

    def rows(self, texts: Sequence[Sequence[int]]) -> Generator[tuple[int, Tensor] | None]:
        from tramontane.engine.request import Finished, Request
        from tramontane.sampling_params import SamplingParams

        events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        running: dict[str, tuple[int, Any, Callable[[], None]]] = {}
        waiting = deque(enumerate(texts))
        params = SamplingParams(max_tokens=0, temperature=0)
        try:
            while True:
                while waiting and len(running) < AT_ONCE:
                    index, text = waiting[0]
                    found = np.empty((len(text), self.hidden), np.float32)
                    request = Request(prompt=tuple(text), params=params, hidden=_into(found))
                    try:
                        cancel = self._engine.submit(request, events.put)
                    except EngineBusy:
                        if not running:
                            raise
                        break  # the engine's queue has room once some of these are computed
                    running[request.id] = index, found, cancel
                    waiting.popleft()
                if not running:
                    return
                try:
                    event = events.get(timeout=0.05)
                except queue.Empty:
                    yield None
                    continue
                if not isinstance(event, Finished):
                    continue
                index, found, _ = running.pop(event.id)
                event.result.check_room()
                if event.result.error is not None:
                    raise RequestError(f"the request failed: {event.result.error}")
                if event.result.finish_reason == "cancelled":
                    raise RequestError("the engine was closed before the answer")
                yield index, self._norm(torch.from_numpy(found))
        finally:
            for _, _, cancel in running.values():
                cancel()


def here(norm: Any) -> Any:
    """A norm for rows on the processor: what is started on a device beside the engine's thread
    would come between its steps."""
    if device_of(norm).type == "cpu":
        return norm
    made = copy(norm)
    vars(made).pop("forward", None)  # of kernels
    for kind in ("_parameters", "_buffers"):
        vars(made)[kind] = {
            name: None if each is None else each.cpu() for name, each in vars(norm)[kind].items()
        }
    return made


def _into(found: Any) -> Callable[[int, Any], None]:
    def told(first: int, rows: Any) -> None:
        found[first : first + len(rows)] = rows[: len(found) - first]

    return told


class TextVectors:
    """Implements `tramontane.tasks.embed.Embeds`."""

    def __init__(self, source: Source, pipeline: Pipeline, tokenizer: Any, name: str) -> None:
        self._source, self.pipeline = source, pipeline
        self.dimensions = pipeline.width(source.hidden)
        if pipeline.dimensions is not None:
            self.dimensions = min(self.dimensions, pipeline.dimensions)
        self.max_tokens = min(source.most, pipeline.max_tokens or source.most)
        self.prompts: Mapping[str, str] = pipeline.prompts
        self._in = TextsIn(tokenizer, self.max_tokens, source.vocabulary)
        self._tokenizer, self._name = tokenizer, name

    def embed(self, texts: Sequence[Text], options: EmbedOptions) -> Work:
        if not texts:
            raise RequestError("there is no text; give at least one")
        prompt = self._prompt(options)
        pipeline = self.pipeline
        if options.pooling != "auto":
            if any(not isinstance(step, str) for step in pipeline.steps):
                raise RequestError(
                    f"{self._name} makes its vectors with {'+'.join(pipeline.pooling)} pooling, "
                    "which its further matrices were made for; leave pooling"
                )
            mode = "lasttoken" if options.pooling == "last" else options.pooling
            pipeline = replace(pipeline, pooling=(mode,))
        width = pipeline.width(self._source.hidden)
        wanted = options.dimensions or min(width, pipeline.dimensions or width)
        if wanted > width:
            raise RequestError(f"dimensions {wanted} are more than a vector has, {width}")
        written = [index for index, text in enumerate(texts) if isinstance(text, str)]
        made = [prompt + self._small(str(texts[index])) for index in written]
        ids: list[list[int]] = [[] for _ in texts]
        for index, text in enumerate(texts):
            if isinstance(text, str) and not text.strip():
                raise RequestError(f"texts[{index}] is empty; give a text")
        for index, found in zip(
            written, self._in.texts(made, "texts", truncate=options.truncate), strict=True
        ):
            ids[index] = found
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                ids[index] = self._in.fitted(text, f"texts[{index}]", truncate=options.truncate)
        skipped = 0
        if prompt and not pipeline.include_prompt:
            before = self._tokenizer.encode(prompt)
            skipped = len(before) - len(self._tokenizer.around[1])
        return self._work(ids, pipeline, options, wanted, skipped)

    def _work(
        self,
        ids: list[list[int]],
        pipeline: Pipeline,
        options: EmbedOptions,
        wanted: int,
        skipped: int,
    ) -> Work:
        vectors = np.empty((len(ids), wanted), np.float32)
        done = 0
        for event in self._source.rows(ids):
            if event is None:
                yield None
                continue
            index, rows = event
            rows = rows[min(skipped, len(rows) - 1) :].clone()
            vectors[index] = self._vector(rows, pipeline, options, wanted).numpy()
            done += 1
            yield Progress(done, len(ids), "texts")
        return Embeddings(vectors, tuple(map(len, ids)))

    def _vector(
        self, rows: Tensor, pipeline: Pipeline, options: EmbedOptions, wanted: int
    ) -> Tensor:
        x = pooled(rows, pipeline.pooling)
        for step in pipeline.steps:
            x = _unit(x) if isinstance(step, str) else step(x)
        if wanted < len(x):
            x = x[:wanted]
            # what the model itself cuts keeps its length, as in sentence-transformers
            if options.dimensions is not None and pipeline.normalizes:
                x = _unit(x)
        return _unit(x) if options.normalize else x

    def _prompt(self, options: EmbedOptions) -> str:
        if options.prompt is not None:
            if options.prompt_name is not None:
                raise RequestError("prompt and prompt_name exclude each other; give one")
            return options.prompt
        name = options.prompt_name or self.pipeline.default_prompt
        if name is None:
            return ""
        if name not in self.prompts:
            known = ", ".join(self.prompts) or "none"
            raise RequestError(f"{self._name} has no prompt {name!r:.60}; it has: {known}")
        return self.prompts[name]

    def _small(self, text: str) -> str:
        return text.lower() if self.pipeline.lower else text


def _unit(x: Tensor) -> Tensor:
    """x of length 1; zeros stay."""
    out: Tensor = x / x.norm().clamp_min(1e-12)
    return out


def vectors_of(opened: Opened) -> TextVectors:
    """What does the task "embed" with models of any kind. Raises ConfigError."""
    tokenizer = None
    if opened.task_only:
        with suppress(NoTokenizer):
            tokenizer = opened.tokenizer()
        source: Source = Encoded(opened.model)
    else:
        tokenizer, source = opened.tokenizer, FromEngine(opened)
    path = opened.header.path
    try:
        return TextVectors(source, read_pipeline(path), tokenizer, opened.name)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
