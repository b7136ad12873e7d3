"""The Python API: `LLM` and `AsyncLLM`."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeGuard, cast, overload

from .checkpoint.load import LoadOptions, LoadReport, Progress
from .engine.request import Event, Finished, Request, RequestResult
from .errors import RequestError
from .loaded_model import LoadedModel, Message, Prompt
from .registry import Registry
from .results import Chunk, Completion
from .sampling_params import SamplingParams
from .source import DEFAULT, HubOptions


class _Model:
    """What both faces share: loading, and turning prompts into requests."""

    def __init__(
        self,
        model: str | Path = DEFAULT,
        *,
        revision: str | None = None,
        token_source: str = "cache",
        cache_dir: Path | None = None,
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
        num_ctx: int | None = None,
        mmap: bool = True,
        force: bool = False,
        overrides: dict[str, Any] | None = None,
        chat_template: Path | None = None,
        batch_size: int = 512,
        max_seqs: int = 32,
        kv_tokens: int | None = None,
        registry: Registry | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Load a model.

        model: a folder, a model file, an installed model's name, or a hub id; without one, the
          small embedded model.
        revision, token_source, cache_dir: of the hub; see `HubOptions`.
        device, dtype, threads, num_ctx, mmap, force, overrides: see `LoadOptions`.
        chat_template: a Jinja file to use instead of the model's own.
        batch_size: prompt tokens per step. max_seqs: requests that run at once.
        kv_tokens: context of all running requests together; None: one full context.

        Raises ModelNotFound, CheckpointError, PluginError, NotEnoughMemory, all TramontaneError.
        """
        self.inner = LoadedModel(
            model,
            hub=HubOptions(revision=revision, token_source=token_source, cache_dir=cache_dir),
            options=LoadOptions(
                device=device,
                dtype=dtype,
                threads=threads,
                num_ctx=num_ctx,
                mmap=mmap,
                force=force,
                overrides=overrides or {},
            ),
            chat_template=chat_template,
            batch_size=batch_size,
            max_seqs=max_seqs,
            kv_tokens=kv_tokens,
            registry=registry,
            progress=progress,
        )

    @property
    def report(self) -> LoadReport:
        """What became of the checkpoint: layouts, kernels, bytes."""
        return self.inner.loaded.report

    @property
    def context_length(self) -> int:
        return self.inner.engine.context_length

    def tokenize(self, text: str, *, add_special: bool = True) -> list[int]:
        """Token ids of a text."""
        return self.inner.tokenizer.encode(text, add_special=add_special)

    def detokenize(self, tokens: Sequence[int], *, skip_special: bool = False) -> str:
        """The text of token ids."""
        return self.inner.tokenizer.decode(tokens, skip_special=skip_special)

    def close(self) -> None:
        """Free the engine's thread; running requests are cancelled."""
        self.inner.close()


class LLM(_Model):
    """A loaded model, for code that waits for its answers. A context manager, thread-safe."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    @overload
    def generate(
        self,
        prompt: Prompt,
        params: SamplingParams | None = None,
        *,
        stream: Literal[False] = False,
    ) -> Completion: ...
    @overload
    def generate(
        self,
        prompt: list[str],
        params: SamplingParams | None = None,
        *,
        stream: Literal[False] = False,
    ) -> list[Completion]: ...
    @overload
    def generate(
        self, prompt: Prompt, params: SamplingParams | None = None, *, stream: Literal[True]
    ) -> Iterator[Chunk]: ...
    def generate(
        self,
        prompt: Prompt | list[str],
        params: SamplingParams | None = None,
        *,
        stream: bool = False,
    ) -> Completion | list[Completion] | Iterator[Chunk]:
        """Continue a text (or token ids), or each of a list of texts, batched together.

        stream: an iterator of chunks, as tokens come; to stop early, close it.
        Raises RequestError for a prompt or parameters that cannot be.
        """
        if _are_texts(prompt):
            if stream:
                raise RequestError("stream takes one prompt; call it once for each of several")
            sets = [self.inner.requests(self.inner.encode(p), params) for p in prompt]
            results = self._wait([request for requests in sets for request in requests])
            return [Completion(tuple(results[r.id] for r in requests)) for requests in sets]
        return self._one(self.inner.encode(cast("Prompt", prompt)), params, stream)

    @overload
    def chat(
        self,
        messages: Sequence[Message] | str,
        params: SamplingParams | None = None,
        *,
        stream: Literal[False] = False,
        **variables: Any,
    ) -> Completion: ...
    @overload
    def chat(
        self,
        messages: Sequence[Message] | str,
        params: SamplingParams | None = None,
        *,
        stream: Literal[True],
        **variables: Any,
    ) -> Iterator[Chunk]: ...
    def chat(
        self,
        messages: Sequence[Message] | str,
        params: SamplingParams | None = None,
        *,
        stream: bool = False,
        **variables: Any,
    ) -> Completion | Iterator[Chunk]:
        """Answer a conversation: dicts with `role` and `content`, or one user's text.

        variables: passed to the chat template, such as enable_thinking=False.
        Raises TemplateError, RequestError.
        """
        return self._one(
            self.inner.encode_chat(_conversation(messages), **variables), params, stream
        )

    def stream(self, request: Request) -> Iterator[Event]:
        """The engine's own events, for those who build on it. Closing the iterator cancels."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        cancel = self.inner.engine.submit(request, events.put)
        return _events(events, cancel)

    def _one(
        self, prompt: tuple[int, ...], params: SamplingParams | None, stream: bool
    ) -> Completion | Iterator[Chunk]:
        requests = self.inner.requests(prompt, params)
        if stream:
            return self._chunks(requests)
        results = self._wait(requests)
        return Completion(tuple(results[request.id] for request in requests))

    def _wait(self, requests: list[Request]) -> dict[str, RequestResult]:
        return {
            chunk.result.id: chunk.result
            for chunk in self._chunks(requests)
            if chunk.result is not None
        }

    def _chunks(self, requests: list[Request]) -> Iterator[Chunk]:
        """Submitted before the first chunk is asked for, so that errors come at the call."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        cancels: list[Callable[[], None]] = []
        try:
            for request in requests:
                cancels.append(self.inner.engine.submit(request, events.put))
        except BaseException:
            _call_all(cancels)
            raise
        return _chunks(events, requests, cancels)


class AsyncLLM(_Model):
    """A loaded model, for asyncio. Awaiting never blocks the loop; loading does: do it first."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    @overload
    def generate(
        self,
        prompt: Prompt,
        params: SamplingParams | None = None,
        *,
        stream: Literal[False] = False,
    ) -> Awaitable[Completion]: ...
    @overload
    def generate(
        self, prompt: Prompt, params: SamplingParams | None = None, *, stream: Literal[True]
    ) -> AsyncIterator[Chunk]: ...
    def generate(
        self, prompt: Prompt, params: SamplingParams | None = None, *, stream: bool = False
    ) -> Awaitable[Completion] | AsyncIterator[Chunk]:
        """Continue a text or token ids: await it, or with `stream` iterate over it."""
        return self._one(self.inner.encode(prompt), params, stream)

    @overload
    def chat(
        self,
        messages: Sequence[Message] | str,
        params: SamplingParams | None = None,
        *,
        stream: Literal[False] = False,
        **variables: Any,
    ) -> Awaitable[Completion]: ...
    @overload
    def chat(
        self,
        messages: Sequence[Message] | str,
        params: SamplingParams | None = None,
        *,
        stream: Literal[True],
        **variables: Any,
    ) -> AsyncIterator[Chunk]: ...
    def chat(
        self,
        messages: Sequence[Message] | str,
        params: SamplingParams | None = None,
        *,
        stream: bool = False,
        **variables: Any,
    ) -> Awaitable[Completion] | AsyncIterator[Chunk]:
        """Answer a conversation, as `LLM.chat` does."""
        return self._one(
            self.inner.encode_chat(_conversation(messages), **variables), params, stream
        )

    def _one(
        self, prompt: tuple[int, ...], params: SamplingParams | None, stream: bool
    ) -> Awaitable[Completion] | AsyncIterator[Chunk]:
        requests = self.inner.requests(prompt, params)
        return self._chunks(requests) if stream else self._wait(requests)

    async def _wait(self, requests: list[Request]) -> Completion:
        results = {}
        async for chunk in self._chunks(requests):
            if chunk.result is not None:
                results[chunk.index] = chunk.result
        return Completion(tuple(results[index] for index in range(len(requests))))

    async def _chunks(self, requests: list[Request]) -> AsyncIterator[Chunk]:
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event] = asyncio.Queue()

        def sink(event: Event) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(events.put_nowait, event)

        index = {request.id: i for i, request in enumerate(requests)}
        cancels: list[Callable[[], None]] = []
        try:
            for request in requests:
                cancels.append(self.inner.engine.submit(request, sink))
            open_requests = len(requests)
            while open_requests:
                chunk = _chunk(await events.get(), index)
                open_requests -= chunk.result is not None
                yield chunk
        finally:
            _call_all(cancels)


def _are_texts(prompt: Prompt | list[str]) -> TypeGuard[list[str]]:
    return isinstance(prompt, list) and bool(prompt) and all(isinstance(p, str) for p in prompt)


def _conversation(messages: Sequence[Message] | str) -> Sequence[Message]:
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else messages


def _events(events: queue.SimpleQueue[Event], cancel: Callable[[], None]) -> Iterator[Event]:
    try:
        while True:
            event = events.get()
            yield event
            if isinstance(event, Finished):
                return
    finally:
        cancel()


def _chunks(
    events: queue.SimpleQueue[Event], requests: list[Request], cancels: list[Callable[[], None]]
) -> Iterator[Chunk]:
    index = {request.id: i for i, request in enumerate(requests)}
    open_requests = len(requests)
    try:
        while open_requests:
            chunk = _chunk(events.get(), index)
            open_requests -= chunk.result is not None
            yield chunk
    finally:
        _call_all(cancels)


def _chunk(event: Event, index: dict[str, int]) -> Chunk:
    if isinstance(event, Finished):
        if event.result.error is not None:
            raise RequestError(f"the request failed: {event.result.error}")
        return Chunk(event.text, index[event.id], result=event.result)
    return Chunk(event.text, index[event.id], event.token, event.logprob)


def _call_all(cancels: list[Callable[[], None]]) -> None:
    for cancel in cancels:
        cancel()
