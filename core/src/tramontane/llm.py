"""The Python API for code that waits for its answers."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeGuard, cast, overload

from .engine.request import Event, Finished, Request, RequestResult
from .errors import RequestError
from .loaded_model import Message, Prompt
from .open_model import OpenModel, cancel_all, chunk_of, conversation, refuse_best_of
from .results import Chunk, Completion, best
from .sampling_params import SamplingParams


class EventStream:
    """An iterator over a request's events, the last a Finished.

    An interrupt while it waits leaves it whole: cancel, and go on to the last event.
    """

    def __init__(self, events: queue.SimpleQueue[Event], cancel: Callable[[], None]) -> None:
        self._events, self.cancel = events, cancel
        self._ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        if self._ended:
            raise StopIteration
        event = self._events.get()
        self._ended = isinstance(event, Finished)
        return event

    def __del__(self) -> None:
        self.cancel()


class LLM(OpenModel):
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
            return [_completion(requests, results, params) for requests in sets]
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
            self.inner.encode_chat(conversation(messages), **variables), params, stream
        )

    def stream(self, request: Request) -> EventStream:
        """The engine's own events, for those who build on it."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        return EventStream(events, self.inner.engine.submit(request, events.put))

    def _one(
        self, prompt: tuple[int, ...], params: SamplingParams | None, stream: bool
    ) -> Completion | Iterator[Chunk]:
        requests = self.inner.requests(prompt, params)
        if stream:
            refuse_best_of(params)
            return self._chunks(requests)
        return _completion(requests, self._wait(requests), params)

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
            cancel_all(cancels)
            raise
        return _chunks(events, requests, cancels)


def _completion(
    requests: list[Request], results: dict[str, RequestResult], params: SamplingParams | None
) -> Completion:
    found = [results[request.id] for request in requests]
    return Completion(best(found, params.n if params else 1))


def _are_texts(prompt: Prompt | list[str]) -> TypeGuard[list[str]]:
    return isinstance(prompt, list) and bool(prompt) and all(isinstance(p, str) for p in prompt)


def _chunks(
    events: queue.SimpleQueue[Event], requests: list[Request], cancels: list[Callable[[], None]]
) -> Iterator[Chunk]:
    index = {request.id: i for i, request in enumerate(requests)}
    open_requests = len(requests)
    try:
        while open_requests:
            chunk = chunk_of(events.get(), index)
            open_requests -= chunk.result is not None
            yield chunk
    finally:
        cancel_all(cancels)
