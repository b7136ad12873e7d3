"""One answer of the chat API, whole or in pieces: text, reasoning, and calls of tools."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from tramontane.answers import (
    Answer,
    AnswerParser,
    CallArguments,
    CallStart,
    Content,
    Delta,
    Reasoning,
)
from tramontane.engine.request import Event, Finished, RequestResult

from . import answer


def choice(
    index: int, result: RequestResult, said: Answer, ours: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """A whole answer. ours: tools whose calls are not the client's to run."""
    calls = [call for call in said.found if call.name not in ours]
    message: dict[str, Any] = {"role": "assistant", "content": said.content}
    if said.reasoning:
        message["reasoning_content"] = said.reasoning
    if calls:
        message["content"] = said.content or None
        message["tool_calls"] = [
            {
                "id": call.id or _identity(),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in calls
        ]
    return {
        "index": index,
        "message": message,
        "logprobs": result.logprobs
        and {"content": [answer.logprob(entry) for entry in result.logprobs]},
        "finish_reason": _reason(result, called=bool(calls)),
    }


class Pieces:
    """An answer's chunks, as its events come. ours: tools whose calls the client does not see."""

    def __init__(self, index: int, parser: AnswerParser, ours: frozenset[str]) -> None:
        self._index, self._parser, self._ours = index, parser, ours
        self._begun = False
        self._calls: dict[int, int] = {}
        """Places of the client's calls among all of this answer's, and among the client's."""
        self._seen = 0

    def again(self, parser: AnswerParser) -> None:
        """Another round of the same answer."""
        self._parser = parser
        self._calls = {}

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

    def end(self, result: RequestResult) -> dict[str, Any]:
        """The choice of the last chunk."""
        return self._choice({}, finish_reason=_reason(result, called=self._seen > 0))

    def _delta(self, delta: Delta) -> dict[str, Any] | None:
        match delta:
            case Content(text):
                return {"content": text}
            case Reasoning(text):
                return {"reasoning_content": text}
            case CallStart(index, name, identity) if name not in self._ours:
                self._calls[index] = place = self._seen
                self._seen += 1
                function = {"name": name, "arguments": ""}
                call = {"index": place, "id": identity or _identity(), "type": "function"}
                return {"tool_calls": [{**call, "function": function}]}
            case CallArguments(index, text) if index in self._calls:
                part = {"index": self._calls[index], "function": {"arguments": text}}
                return {"tool_calls": [part]}
        return None

    def _choice(self, delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "index": self._index, "delta": delta, "logprobs": None, "finish_reason": None, **more,
        }  # fmt: skip


def _reason(result: RequestResult, *, called: bool) -> str:
    reason = answer.REASONS[result.finish_reason]
    return "tool_calls" if called and reason == "stop" else reason


def _identity() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"
