"""The pieces that an answer comes in, and the answer that they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from tramontane.tools import ToolCall


@dataclass(frozen=True)
class Content:
    """More of the plain text."""

    text: str


@dataclass(frozen=True)
class Reasoning:
    """More of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True)
class CallStart:
    """The model calls a tool. index: 0 for the answer's first call. id: if the model gave one."""

    index: int
    name: str
    id: str = ""


@dataclass(frozen=True)
class CallArguments:
    """More of a call's arguments: JSON text of an object, in pieces."""

    index: int
    text: str


@dataclass(frozen=True)
class CallEnd:
    """A call has ended. whole: its arguments are; else the text was cut off or went wrong."""

    index: int
    whole: bool


Delta: TypeAlias = Content | Reasoning | CallStart | CallArguments | CallEnd


@dataclass(frozen=True)
class FoundCall:
    """A call of an answer. arguments: JSON text, an object if `whole`, else its beginning."""

    name: str
    arguments: str
    id: str = ""
    whole: bool = True


@dataclass
class Answer:
    """All of an answer."""

    content: str = ""
    reasoning: str = ""
    found: list[FoundCall] = field(default_factory=list)

    @property
    def calls(self) -> list[ToolCall]:
        """The calls that are whole."""
        return [ToolCall(call.name, call.arguments, call.id) for call in self.found if call.whole]

    @classmethod
    def of(cls, deltas: Iterable[Delta]) -> Answer:
        """What pieces make together."""
        content: list[str] = []
        reasoning: list[str] = []
        calls: list[tuple[CallStart, list[str]]] = []
        whole: set[int] = set()
        for delta in deltas:
            match delta:
                case Content(text):
                    content.append(text)
                case Reasoning(text):
                    reasoning.append(text)
                case CallStart():
                    calls.append((delta, []))
                case CallArguments(index, text):
                    calls[index][1].append(text)
                case CallEnd(index, True):
                    whole.add(index)
        found = [
            FoundCall(start.name, "".join(text), start.id, start.index in whole)
            for start, text in calls
        ]
        return cls("".join(content), "".join(reasoning), found)
