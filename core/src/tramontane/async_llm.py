"""The Python API for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload

from .engine.request import Event, Request
from .loaded_model import Message, Prompt
from .open_model import OpenModel, cancel_all, chunk_of, conversation, refuse_best_of
from .results import Chunk, Completion, best
from .sampling_params import SamplingParams


class AsyncLLM(OpenModel):
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
            self.inner.encode_chat(conversation(messages), **variables), params, stream
        )

    def _one(
        self, prompt: tuple[int, ...], params: SamplingParams | None, stream: bool
    ) -> Awaitable[Completion] | AsyncIterator[Chunk]:
        requests = self.inner.requests(prompt, params)
        if stream:
            refuse_best_of(params)
            return self._chunks(requests)
        return self._wait(requests, params.n if params else 1)

    async def _wait(self, requests: list[Request], count: int) -> Completion:
        results = {}
        async for chunk in self._chunks(requests):
            if chunk.result is not None:
                results[chunk.index] = chunk.result
        return Completion(best([results[index] for index in range(len(requests))], count))

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
                chunk = chunk_of(await events.get(), index)
                open_requests -= chunk.result is not None
                yield chunk
        finally:
            cancel_all(cancels)
