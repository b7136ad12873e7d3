"""Conversations with tools as engine requests, and the rounds of their answers, for every API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tramontane.answers import AnswerParser, Dialect
from tramontane.chat.chat_turn import Turn
from tramontane.chat.tool_loop import ToolLoop
from tramontane.chat.toolbox import Toolbox

from .acting import Acts
from .app_state import Registered, Serving
from .built_in import Record

if TYPE_CHECKING:
    from tramontane.engine.request import Request, RequestResult
    from tramontane.media.fetch import Fetching
    from tramontane.model.loaded_model import LoadedModel
    from tramontane.sampling_params import SamplingParams

    from .event_bridge import Generation


Notice: TypeAlias = dict[str, Any]
"""What a tool does or asks for, as clients are told: see docs/agent.md."""


class Prepared(NamedTuple):
    """A turn, which makes a parser for each answer, and the requests to submit."""

    turn: Turn
    requests: list[Request]


def prepare(
    serving: Serving,
    model: LoadedModel,
    messages: Sequence[Mapping[str, Any]],
    params: SamplingParams,
    toolbox: Toolbox,
    variables: Mapping[str, Any],
    place: Mapping[str, Any],
    fetching: Fetching | None = None,
) -> Prepared:
    """Render and encode a conversation: not for the event loop.

    variables: of the chat template. place: fields of the requests that relate them to others, such
    as the priority. fetching: for several of one request.

    Raises ApiError, RequestError, TemplateError, PluginNotInstalled.
    """
    if fetching is None and serving.fetch is not None:
        fetching = serving.fetch.begin()
    turn = Turn(
        model, messages, serving.limited(params), toolbox, variables=variables, local_files=False,
        fetching=fetching,
    )  # fmt: skip
    return Prepared(turn, [replace(request, **place) for request in turn.requests()])


async def prepare_async(serving: Serving, *arguments: Any) -> Prepared:
    """Like `prepare`, in a thread."""
    return await serving.in_thread(prepare, serving, *arguments)


class Rounds:
    """The rounds of an answer: the tools that the server's owner registered run between them.

    requests: those of the next round. results: those of each finished round. hidden: names of the
    registered tools, whose calls the client does not see; `calls_made` has these instead.
    """

    def __init__(
        self,
        serving: Serving,
        model: LoadedModel,
        requests: Sequence[Request],
        loop: ToolLoop | None = None,
        place: Mapping[str, Any] | None = None,
        acts: Acts | None = None,
    ) -> None:
        """loop: None for an answer of one round, which is text. acts: what toolsets do for it."""
        self.requests = list(requests)
        self.results: list[list[RequestResult]] = []
        self._serving, self._model, self._loop, self._place = serving, model, loop, place or {}
        self.acts = acts
        self._told = 0

    @classmethod
    def of(
        cls,
        serving: Serving,
        model: LoadedModel,
        prepared: Prepared,
        toolbox: Toolbox,
        registered: Registered,
        place: Mapping[str, Any],
    ) -> Rounds:
        """The rounds of a conversation. registered: those tools of the toolbox that run here."""
        names = [function.tool.name for function in registered.functions]
        settings, acts = serving.settings, registered.acts
        if acts is not None:
            acts.govern(toolbox, registered.functions)
        loop = ToolLoop(
            prepared.turn, toolbox, settings.max_tool_rounds, recorded=names,
            max_seconds=settings.request_timeout,
        )  # fmt: skip
        return cls(serving, model, prepared.requests, loop, place, acts)

    @property
    def hidden(self) -> frozenset[str]:
        return frozenset() if self._loop is None else self._loop.recorded

    @property
    def calls_made(self) -> list[dict[str, Any]]:
        return [] if self._loop is None else self._loop.calls_made

    def named_calls(self, asked: Collection[str]) -> list[tuple[str, Record]]:
        """Those of `calls_made` that are new since the last time and of tools of a toolset that
        the request named, each with its toolset. asked: these toolsets."""
        records = self.calls_made[self._told :]
        self._told += len(records)
        toolset_of = {} if self.acts is None else self.acts.toolset_of
        found = ((toolset_of.get(record["name"], ""), record) for record in records)
        return [(toolset, record) for toolset, record in found if toolset in asked]

    def parser(self) -> AnswerParser:
        """A parser for one answer of the current round."""
        return Dialect().parser() if self._loop is None else self._loop.turn.parser()

    async def generations(self, name: str) -> AsyncIterator[Generation]:
        """A generation for each round: enter it and read it to its end. name: of the model."""
        async with aclosing(self.steps(name)) as steps:
            async for step in steps:
                if not isinstance(step, dict):
                    yield step

    async def steps(self, name: str) -> AsyncGenerator[Generation | Notice]:
        """The same, and between them what tools do and ask for, as it happens."""
        try:
            while True:
                generation = self._serving.generate(self._model, name, self.requests)
                yield generation
                self.results.append(generation.results())
                if self._loop is None or not self.hidden:
                    return
                going = asyncio.ensure_future(self._loop.next_round_async(self.results[-1]))
                async for notice in _until(going, self.acts):
                    yield notice
                if not going.result():
                    return
                requests = await asyncio.to_thread(self._loop.turn.requests)
                self.requests = [replace(request, **self._place) for request in requests]
        finally:
            if self.acts is not None:
                self.acts.close()


async def _until(going: asyncio.Future[bool], acts: Acts | None) -> AsyncGenerator[Notice]:
    """What tools tell until all of a round have ended; if nobody listens any more, they end."""
    heard: asyncio.Future[Notice] | None = None
    try:
        while acts is not None and not (going.done() and acts.notices.empty()):
            heard = heard or asyncio.ensure_future(acts.notices.get())
            both: set[asyncio.Future[Any]] = {going, heard}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if heard.done():
                yield heard.result()
                heard = None
        await asyncio.wait({going})
    finally:
        for one in (going, heard):
            if one is not None and not one.done():
                one.cancel()


async def begin_rounds(
    serving: Serving,
    model: LoadedModel,
    messages: Sequence[Mapping[str, Any]],
    params: SamplingParams,
    toolbox: Toolbox,
    registered: Registered,
    variables: Mapping[str, Any],
    place: Mapping[str, Any],
) -> Rounds:
    """`prepare` in a thread, then the rounds. Raises what `prepare` does."""
    prepared = await prepare_async(serving, model, messages, params, toolbox, variables, place)
    return Rounds.of(serving, model, prepared, toolbox, registered, place)
