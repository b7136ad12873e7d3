"""The Python API for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, Unpack, overload

from .answers import AnswerParser
from .chat.chat_turn import Turn
from .chat.tool_loop import ToolLoop
from .chat.toolbox import Approve, Toolbox
from .engine.request import Event, Request, RequestResult
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

Begun: TypeAlias = Callable[[], tuple[Turn, list[Request]]]


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
        schema: Schema | None = None,
        **sampling: Unpack[Sampling],
    ) -> Awaitable[Completion]: ...
    @overload
    def generate(
        self,
        prompt: Prompts,
        params: Params = None,
        *,
        stream: Literal[False] = False,
        schema: Schema | None = None,
    ) -> Awaitable[list[Completion]]: ...
    @overload
    def generate(
        self,
        prompt: Prompt | Prompts,
        params: Params = None,
        *,
        stream: Literal[True],
        schema: Schema | None = None,
        **sampling: Unpack[Sampling],
    ) -> AsyncIterator[Chunk]: ...
    def generate(
        self,
        prompt: Prompt | Prompts,
        params: Params = None,
        *,
        stream: bool = False,
        schema: Schema | None = None,
        **sampling: Unpack[Sampling],
    ) -> Awaitable[Completion] | Awaitable[list[Completion]] | AsyncIterator[Chunk]:
        """Continue a text or token ids, or each of a list of these, as `LLM.generate` does: await
        it, or with `stream` iterate over it."""
        batch = PromptBatch.of(self.inner, prompt, params, sampling, schema, stream=stream)
        if stream:
            return self._chunks(batch.requests)
        found = self._completions(batch)
        return self._first(found) if batch.single else found

    async def logits(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """The model's logits at every position, (tokens, vocabulary), as `LLM.logits` returns."""
        (result,) = await self._results([self.inner.logits_request(ids)])
        assert result.prompt_logits is not None
        return result.prompt_logits

    async def embed(
        self, texts: Sequence[str | Sequence[int]] | str, **options: Any
    ) -> npt.NDArray[np.float32]:
        """As `LLM.embed`."""
        from .tasks.embed import AsyncEmbedder

        return await AsyncEmbedder.over(self.inner).embed(texts, **options)

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
    ) -> Awaitable[Completion]: ...
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
    ) -> AsyncIterator[Chunk]: ...
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
    ) -> Awaitable[Completion] | AsyncIterator[Chunk]:
        """Answer a conversation, as `LLM.chat` does. Tools that are coroutines run in the loop."""
        params = with_keywords(params, sampling, CHAT, self.inner.template_source or "")
        variables = variables_of(template_variables)
        toolbox = Toolbox(
            self.tools(tools), tool_choice, parallel_tool_calls, approve, tool_timeout
        )
        asked = with_schema(params, schema)
        if stream:
            refuse_best_of(params)

        def begun() -> tuple[Turn, list[Request]]:
            turn = Turn(
                self.inner, conversation(messages), asked, toolbox,
                schema=schema, variables=variables,
            )  # fmt: skip
            return turn, turn.requests()

        if self.inner.media_options.fetch is not None:  # the loop does not wait for the web
            if stream:
                return self._streamed(begun)
            return self._answered(begun, toolbox, max_tool_rounds)
        turn, requests = begun()
        if stream:
            return self._chunks(requests, [turn.parser() for _ in requests])
        return self._answer(ToolLoop(turn, toolbox, max_tool_rounds), requests)

    async def _answered(self, begun: Begun, toolbox: Toolbox, rounds: int) -> Completion:
        turn, requests = await asyncio.to_thread(begun)
        return await self._answer(ToolLoop(turn, toolbox, rounds), requests)

    async def _streamed(self, begun: Begun) -> AsyncIterator[Chunk]:
        turn, requests = await asyncio.to_thread(begun)
        chunks = self._chunks(requests, [turn.parser() for _ in requests])
        async with aclosing(chunks):  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk

    async def _answer(self, loop: ToolLoop, requests: list[Request]) -> Completion:
        while await loop.next_round_async(await self._results(requests)):
            requests = loop.turn.requests()
        return loop.completion

    async def _completions(self, batch: PromptBatch) -> list[Completion]:
        return batch.completions(await self._results(batch.requests))

    @staticmethod
    async def _first(found: Awaitable[list[Completion]]) -> Completion:
        return (await found)[0]

    async def _results(self, requests: list[Request]) -> list[RequestResult]:
        results = {}
        async for chunk in self._chunks(requests):
            if chunk.result is not None:
                results[chunk.index] = chunk.result
        return [results[index] for index in range(len(requests))]

    async def _chunks(
        self, requests: list[Request], parsers: Sequence[AnswerParser] = ()
    ) -> AsyncIterator[Chunk]:
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
                chunk = chunk_of(await events.get(), index, parsers)
                open_requests -= chunk.result is not None
                yield chunk
        finally:
            cancel_all(cancels)
