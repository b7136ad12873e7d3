"""One answer of the chat API, whole or in pieces: text, reasoning, and calls of tools."""

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

BETWEEN = "\n\n"
"""The separator between the texts of an answer's rounds."""


def choice(
    index: int,
    results: Sequence[RequestResult],
    said: Sequence[Answer],
    ours: frozenset[str] = frozenset(),
    ran: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """A whole answer, of one round or several. ours: tools whose calls are not the client's to run.
    ran: what became of those."""
    calls = [call for one in said for call in one.found if call.name not in ours]
    content = BETWEEN.join(one.content for one in said if one.content)
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if reasoning := BETWEEN.join(one.reasoning for one in said if one.reasoning):
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
    if ran:
        message["server_tool_calls"] = ran
    logprobs = [answer.logprob(entry) for result in results for entry in result.logprobs or ()]
    return {
        "index": index,
        "message": message,
        "logprobs": None if results[-1].logprobs is None else {"content": logprobs},
        "finish_reason": _reason(results[-1], called=any(call.whole for call in calls)),
    }


class Pieces:
    """An answer's chunks, as its events come. ours: tools whose calls the client does not see."""

    def __init__(self, index: int, parser: AnswerParser, ours: frozenset[str]) -> None:
        self._index, self._parser, self._ours = index, parser, ours
        self._begun = False
        self._told: dict[str, int] = {}
        """The last round in which there was content, and reasoning."""
        self._round = 0
        self._calls: dict[int, int] = {}
        """Places of the client's calls among all of this answer's, and among the client's."""
        self._seen = 0
        self._whole = False
        """Whether a call of the client's is."""

    def again(self, parser: AnswerParser) -> None:
        """Another round of the same answer."""
        self._parser = parser
        self._calls = {}
        self._round += 1

    def of(self, one: Event) -> Iterator[dict[str, Any]]:
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

    def end(self, result: RequestResult, ran: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
        """The choice of the last chunk. ran: what became of calls that are not the client's."""
        told = {"server_tool_calls": ran} if ran else {}
        return self._choice(told, finish_reason=_reason(result, called=self._whole))

    def _delta(self, delta: Delta) -> dict[str, Any] | None:
        match delta:
            case Content(text):
                return {"content": self._after_rounds("content", text)}
            case Reasoning(text):
                return {"reasoning_content": self._after_rounds("reasoning", text)}
            case CallStart(index, name, identity) if name not in self._ours:
                self._calls[index] = place = self._seen
                self._seen += 1
                function = {"name": name, "arguments": ""}
                call = {"index": place, "id": identity or _identity(), "type": "function"}
                return {"tool_calls": [{**call, "function": function}]}
            case CallEnd(index, whole) if index in self._calls:
                self._whole |= whole
            case CallArguments(index, text) if index in self._calls:
                part = {"index": self._calls[index], "function": {"arguments": text}}
                return {"tool_calls": [part]}
        return None

    def _after_rounds(self, kind: str, text: str) -> str:
        """A piece; the first of a round stands apart from what an earlier round said."""
        before, self._told[kind] = self._told.get(kind, self._round), self._round
        return text if before == self._round else BETWEEN + text

    def _choice(self, delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "index": self._index, "delta": delta, "logprobs": None, "finish_reason": None, **more,
        }  # fmt: skip


def _reason(result: RequestResult, *, called: bool) -> str:
    reason = answer.REASONS[result.finish_reason]
    return "tool_calls" if called and reason == "stop" else reason


def _identity() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"
