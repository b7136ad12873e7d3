"""One answer of the chat API, complete or streamed: text, reasoning and tool calls."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tramontane.answers import (
    Answer,
    AnswerParser,
    CallArguments,
    CallEnd,
    CallStart,
    Content,
    Delta,
    Reasoning,
)
from tramontane.engine.request import Event, Finished, RequestResult

from . import answer

SEPARATOR = "\n\n"
"""The separator between the texts of an answer's rounds."""


def complete_choice(
    index: int,
    results: Sequence[RequestResult],
    answers: Sequence[Answer],
    hidden: frozenset[str] = frozenset(),
    calls_made: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """A complete answer of one or several rounds. hidden: tools that run in the server, whose calls
    the client does not see. calls_made: a record of these calls."""
    calls = [call for one in answers for call in one.found if call.name not in hidden]
    content = SEPARATOR.join(one.content for one in answers if one.content)
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if reasoning := SEPARATOR.join(one.reasoning for one in answers if one.reasoning):
        message["reasoning_content"] = reasoning
    if calls:
        message["content"] = content or None
        message["tool_calls"] = [
            {
                "id": call.id or _identity(),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in calls
        ]
    if calls_made:
        message["server_tool_calls"] = calls_made
    logprobs = [answer.logprob(entry) for result in results for entry in result.logprobs or ()]
    return {
        "index": index,
        "message": message,
        "logprobs": None if results[-1].logprobs is None else {"content": logprobs},
        "finish_reason": _reason(results[-1], called=any(call.whole for call in calls)),
    }


class ChoiceStream:
    """The chunks of one streamed answer. hidden: tools whose calls the client does not see."""

    def __init__(self, index: int, parser: AnswerParser, hidden: frozenset[str]) -> None:
        self._index, self._parser, self._hidden = index, parser, hidden
        self._begun = False
        self._last_rounds: dict[str, int] = {}
        """The last round that had content, and the last that had reasoning."""
        self._round = 0
        self._calls: dict[int, int] = {}
        """The index of a call in its round, to its index among the client's calls."""
        self._call_count = 0
        self._has_complete_call = False
        """Whether a call of the client's is complete."""

    def next_round(self, parser: AnswerParser) -> None:
        """Another round of the same answer."""
        self._parser = parser
        self._calls = {}
        self._round += 1

    def chunks(self, one: Event) -> Iterator[dict[str, Any]]:
        """The choices of the chunks to send."""
        if not self._begun:
            self._begun = True
            yield self._choice({"role": "assistant", "content": ""})
        deltas = self._parser.push(one.text)
        if isinstance(one, Finished):
            deltas += self._parser.finish()
        found = [self._delta(delta) for delta in deltas]
        parts = [part for part in found if part is not None]
        if not isinstance(one, Finished) and one.logprob is not None:
            # a token has a probability, whether or not its text is held back
            logprobs = {"content": [answer.logprob(one.logprob)]}
            first, *parts = parts or [{"content": ""}]
            yield self._choice(first, logprobs=logprobs)
        yield from map(self._choice, parts)

    def notice(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """The choice of a chunk about a tool that runs in the server."""
        return self._choice({"server_tool": said})

    def end(
        self, result: RequestResult, calls_made: Sequence[Mapping[str, str]] = ()
    ) -> dict[str, Any]:
        """The choice of the last chunk. calls_made: a record of the hidden calls."""
        more = {"server_tool_calls": calls_made} if calls_made else {}
        return self._choice(more, finish_reason=_reason(result, called=self._has_complete_call))

    def _delta(self, delta: Delta) -> dict[str, Any] | None:
        match delta:
            case Content(text):
                return {"content": self._after_rounds("content", text)}
            case Reasoning(text):
                return {"reasoning_content": self._after_rounds("reasoning", text)}
            case CallStart(index, name, identity) if name not in self._hidden:
                self._calls[index] = request_fields = self._call_count
                self._call_count += 1
                function = {"name": name, "arguments": ""}
                call = {"index": request_fields, "id": identity or _identity(), "type": "function"}
                return {"tool_calls": [{**call, "function": function}]}
            case CallEnd(index, whole) if index in self._calls:
                self._has_complete_call |= whole
            case CallArguments(index, text) if index in self._calls:
                part = {"index": self._calls[index], "function": {"arguments": text}}
                return {"tool_calls": [part]}
        return None

    def _after_rounds(self, kind: str, text: str) -> str:
        """A text, after a separator if it is the first of a round and an earlier round had text."""
        before, self._last_rounds[kind] = self._last_rounds.get(kind, self._round), self._round
        return text if before == self._round else SEPARATOR + text

    def _choice(self, delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "index": self._index, "delta": delta, "logprobs": None, "finish_reason": None, **more,
        }  # fmt: skip


def _reason(result: RequestResult, *, called: bool) -> str:
    reason = answer.REASONS[result.finish_reason]
    return "tool_calls" if called and reason == "stop" else reason


def _identity() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"
