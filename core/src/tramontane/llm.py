"""The Python API for code that waits for its answers."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload

from .answers import AnswerParser
from .chat.chat_turn import Turn
from .chat.tool_loop import ToolLoop
from .chat.toolbox import Approve, Toolbox
from .engine.request import Event, Finished, Request, RequestResult
from .model.loaded_model import Message, Prompt
from .model.open_model import OpenModel, cancel_all, chunk_of, conversation
from .model.prompt_batch import (
    Params,
    PromptBatch,
    Prompts,
    Schema,
    refuse_best_of,
    with_schema,
)
from .results import Chunk, Completion
from .sampling_keywords import CHAT, Sampling, with_keywords
from .sampling_keywords import template_variables as variables_of
from .sampling_params import SamplingParams

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


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
        schema: Schema | None = None,
        **sampling: Unpack[Sampling],
    ) -> Completion: ...
    @overload
    def generate(
        self,
        prompt: Prompts,
        params: Params = None,
        *,
        stream: Literal[False] = False,
        schema: Schema | None = None,
        **sampling: Unpack[Sampling],
    ) -> list[Completion]: ...
    @overload
    def generate(
        self,
        prompt: Prompt | Prompts,
        params: Params = None,
        *,
        stream: Literal[True],
        schema: Schema | None = None,
        **sampling: Unpack[Sampling],
    ) -> Iterator[Chunk]: ...
    def generate(
        self,
        prompt: Prompt | Prompts,
        params: Params = None,
        *,
        stream: bool = False,
        schema: Schema | None = None,
        **sampling: Unpack[Sampling],
    ) -> Completion | list[Completion] | Iterator[Chunk]:
        """Continue a text or token ids, or each of a list of these, batched together.

        params: for all prompts, or a list with one for each prompt of a batch.
        stream: an iterator of chunks, as tokens come; to stop early, close it. `Chunk.index` counts
        the answers of all prompts, in their order.
        schema: a JSON schema or a pydantic model; the answer is of it, `parsed` its value.
        sampling: fields of SamplingParams, such as temperature=0, beside `params` or without.
        Raises RequestError for a prompt or parameters that cannot be, and for unknown ones.
        """
        batch = PromptBatch.of(self.inner, prompt, params, sampling, schema, stream=stream)
        if stream:
            return self._chunks(batch.requests)
        found = batch.completions(self._results(batch.requests))
        return found[0] if batch.single else found

    def logits(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """The model's logits at every position, (tokens, vocabulary) float32, before any sampler.

        Row i has the logits for the token that follows ids[i]; its bits are those that `generate`
        draws from. It takes 4 x tokens x vocabulary bytes, and as much context as ids has tokens;
        nothing is taken from the prefix cache.
        Raises RequestError for ids that cannot be, NotEnoughMemory.
        """
        (result,) = self._results([self.inner.logits_request(ids)])
        assert result.prompt_logits is not None
        return result.prompt_logits

    def embed(
        self, texts: Sequence[str | Sequence[int]] | str, **options: Any
    ) -> npt.NDArray[np.float32]:
        """Vectors of texts, (texts, dimensions) float32, of one text (dimensions): the mean of the
        hidden states behind the last norm, or with pooling="last" the last token's. options: see
        `EmbedOptions`. Keys and values are what `kv_type` keeps, so f32 is nearest to a reference.

        Raises RequestError for a text that is empty or too long, EngineBusy."""
        from .tasks.embed import Embedder

        return Embedder.over(self.inner).embed(texts, **options)

    @overload
    def chat(
        self,
        messages: Sequence[Message] | str,
        params: SamplingParams | None = None,
        *,
        stream: Literal[False] = False,
        schema: Schema | None = None,
        tools: Sequence[Any] = (),
        tool_choice: str | Sequence[str] = "auto",
        parallel_tool_calls: bool = True,
        max_tool_rounds: int = 8,
        approve: Approve | None = None,
        tool_timeout: float = 30.0,
        template_variables: Mapping[str, Any] | None = None,
        **sampling: Unpack[Sampling],
    ) -> Completion: ...
    @overload
    def chat(
        self,
        messages: Sequence[Message] | str,
        params: SamplingParams | None = None,
        *,
        stream: Literal[True],
        schema: Schema | None = None,
        tools: Sequence[Any] = (),
        tool_choice: str | Sequence[str] = "auto",
        parallel_tool_calls: bool = True,
        max_tool_rounds: int = 8,
        approve: Approve | None = None,
        tool_timeout: float = 30.0,
        template_variables: Mapping[str, Any] | None = None,
        **sampling: Unpack[Sampling],
    ) -> Iterator[Chunk]: ...
    def chat(
        self,
        messages: Sequence[Message] | str,
        params: SamplingParams | None = None,
        *,
        stream: bool = False,
        schema: Schema | None = None,
        tools: Sequence[Any] = (),
        tool_choice: str | Sequence[str] = "auto",
        parallel_tool_calls: bool = True,
        max_tool_rounds: int = 8,
        approve: Approve | None = None,
        tool_timeout: float = 30.0,
        template_variables: Mapping[str, Any] | None = None,
        **sampling: Unpack[Sampling],
    ) -> Completion | Iterator[Chunk]:
        """Answer a conversation: dicts with `role` and `content`, or one user's text.

        schema: as in `generate`.
        tools: functions that the model may call, with a schema of their signature and docstring;
          `Tool`s and OpenAI's dicts too. Calls of functions are run, those of one answer at once,
          and the model is asked again, `max_tool_rounds` times at most; others, and all of a
          stream, are only returned, in `tool_calls`.
        tool_choice: auto, none, required, a tool's name, or names of those that may be called.
        approve: asked before each call; False, or a text that says why, refuses it.
        tool_timeout: seconds for a call. The model is given the text of errors.
        template_variables: for the chat template, such as {"enable_thinking": False}.
        sampling: as in `generate`.
        Raises TemplateError, RequestError.
        """
        params = with_keywords(params, sampling, CHAT, self.inner.template_source or "")
        variables = variables_of(template_variables)
        toolbox = Toolbox(
            self.tools(tools), tool_choice, parallel_tool_calls, approve, tool_timeout
        )
        turn = Turn(
            self.inner, conversation(messages), with_schema(params, schema), toolbox,
            schema=schema, variables=variables,
        )  # fmt: skip
        requests = turn.requests()
        if stream:
            refuse_best_of(params)
            return self._chunks(requests, [turn.parser() for _ in requests])
        loop = ToolLoop(turn, toolbox, max_tool_rounds)
        while loop.next_round(self._results(requests)):
            requests = turn.requests()
        return loop.completion

    def stream(self, request: Request) -> EventStream:
        """The engine's own events, for those who build on it."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        return EventStream(events, self.inner.engine.submit(request, events.put))

    def _results(self, requests: list[Request]) -> list[RequestResult]:
        results = {
            chunk.result.id: chunk.result
            for chunk in self._chunks(requests)
            if chunk.result is not None
        }
        return [results[request.id] for request in requests]

    def _chunks(
        self, requests: list[Request], parsers: Sequence[AnswerParser] = ()
    ) -> Iterator[Chunk]:
        """Submitted before the first chunk is asked for, so that errors come at the call."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        cancels: list[Callable[[], None]] = []
        try:
            for request in requests:
                cancels.append(self.inner.engine.submit(request, events.put))
        except BaseException:
            cancel_all(cancels)
            raise
        return _chunks(events, requests, cancels, parsers)


def _chunks(
    events: queue.SimpleQueue[Event],
    requests: list[Request],
    cancels: list[Callable[[], None]],
    parsers: Sequence[AnswerParser],
) -> Iterator[Chunk]:
    index = {request.id: i for i, request in enumerate(requests)}
    open_requests = len(requests)
    try:
        while open_requests:
            chunk = chunk_of(events.get(), index, parsers)
            open_requests -= chunk.result is not None
            yield chunk
    finally:
        cancel_all(cancels)
