"""Conversations with tools as engine requests, and the loop of tool calls, for every API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from tramontane.chat.chat_turn import Turn
from tramontane.chat.toolbox import Function, Toolbox
from tramontane.tools import ToolCall

from .app_state import Serving

if TYPE_CHECKING:
    from tramontane.engine.request import Request, RequestResult
    from tramontane.model.loaded_model import LoadedModel
    from tramontane.sampling_params import SamplingParams


Begun: TypeAlias = "tuple[Turn, list[Request]]"


def prepare(
    serving: Serving,
    model: LoadedModel,
    messages: Sequence[Mapping[str, Any]],
    params: SamplingParams,
    toolbox: Toolbox,
    variables: Mapping[str, Any],
    place: Mapping[str, Any],
) -> Begun:
    """The turn, which has a parser for each answer, and the requests to submit.

    variables: of the chat template. place: fields of the requests that have to do with others.
    Raises ApiError, RequestError, TemplateError, PluginNotInstalled.
    """
    turn = Turn(model, messages, serving.limited(params), toolbox, variables=variables)
    return turn, [replace(request, **place) for request in turn.requests()]


async def begin(*given: Any) -> Begun:
    """What `prepare` makes of the same."""
    # rendering and encoding a long conversation would hold the loop up
    return await asyncio.to_thread(prepare, *given)


@dataclass
class Talk:
    """A turn, and the rounds of it in which tools run that the server's owner registered.

    requests: those of the round to come. ours: names of such tools. ran: what they were asked, and
    what they said, or why they were not asked.
    """

    turn: Turn
    requests: list[Request]
    ours: frozenset[str]
    rounds: int
    _toolbox: Toolbox
    _place: Mapping[str, Any]
    ran: list[dict[str, str]] = field(default_factory=list)

    async def goes_on(self, results: Sequence[RequestResult]) -> bool:
        """Run the calls of an answer, if all are of our tools; whether there is another round."""
        if not self.ours:
            return False
        completion = self.turn.completed(results)
        calls = completion.tool_calls
        if not self.turn.calls(completion):
            self._leave(calls, "the answer also calls tools of the client's")
            return False
        if not self.rounds:
            self._leave(calls, "the answer has had all its rounds of tools")
            return False
        said = await self._toolbox.run_async(calls)
        self.turn.add(completion, said)
        self.ran += [
            {"name": call.name, "arguments": call.arguments, "result": result}
            for call, result in zip(calls, said, strict=True)
        ]
        requests = await asyncio.to_thread(self.turn.requests)
        self.requests = [replace(request, **self._place) for request in requests]
        self.rounds -= 1
        return True

    def _leave(self, calls: Sequence[ToolCall], why: str) -> None:
        """Tell of calls that nobody runs: the client does not see them otherwise."""
        self.ran += [
            {"name": call.name, "arguments": call.arguments, "result": f"not run: {why}"}
            for call in calls
            if call.name in self.ours
        ]


def in_rounds(
    serving: Serving,
    begun: Begun,
    toolbox: Toolbox,
    ours: Sequence[Function],
    place: Mapping[str, Any],
) -> Talk:
    """A turn that was prepared, in rounds. ours: those tools of the toolbox that run here."""
    rounds = serving.settings.max_tool_rounds if ours else 0
    names = frozenset(function.tool.name for function in ours)
    return Talk(*begun, names, rounds, toolbox, place)


async def talk(
    serving: Serving,
    model: LoadedModel,
    messages: Sequence[Mapping[str, Any]],
    params: SamplingParams,
    toolbox: Toolbox,
    ours: Sequence[Function],
    variables: Mapping[str, Any],
    place: Mapping[str, Any],
) -> Talk:
    """The same as `begin`, in rounds."""
    begun = await begin(serving, model, messages, params, toolbox, variables, place)
    return in_rounds(serving, begun, toolbox, ours, place)
