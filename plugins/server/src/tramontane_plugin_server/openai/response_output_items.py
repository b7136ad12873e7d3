"""The output items of a response, built while the answer is generated."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

Item = dict[str, Any]
Status = Literal["in_progress", "completed", "incomplete"]


class Saying(ABC):
    """An item, of which there are pieces of text so far."""

    prefix: ClassVar[str]
    """Of its id."""
    about: ClassVar[str]
    """What its pieces are called in the names of events."""

    def __init__(self) -> None:
        self.id = f"{self.prefix}_{uuid.uuid4().hex}"
        self.pieces: list[str] = []
        self.logprobs: list[dict[str, Any]] = []

    @property
    def text(self) -> str:
        """The text of the item."""
        return "".join(self.pieces)

    @abstractmethod
    def item(self, status: Status) -> Item:
        """The item as it is now; one of which nothing was said has no content."""

    def part(self) -> dict[str, Any] | None:
        """The content, if such items have any."""
        return None

    @abstractmethod
    def said(self) -> dict[str, Any]:
        """The text as the event at its end has it."""


class Message(Saying):
    """A message to the user."""

    prefix, about = "msg", "output_text"

    def item(self, status: Status) -> Item:
        content = [] if status == "in_progress" else [self.part()]
        return {
            "id": self.id, "type": "message", "role": "assistant", "status": status,
            "content": content,
        }  # fmt: skip

    def part(self) -> dict[str, Any]:
        return {"type": "output_text", "annotations": [], **self.said()}

    def said(self) -> dict[str, Any]:
        return {"logprobs": list(self.logprobs), "text": self.text}


class Thought(Saying):
    """Reasoning before the answer."""

    prefix, about = "rs", "reasoning_text"

    def item(self, status: Status) -> Item:
        content = [] if status == "in_progress" else [self.part()]
        return {
            "id": self.id, "type": "reasoning", "summary": [], "content": content,
            "status": status,
        }  # fmt: skip

    def part(self) -> dict[str, Any]:
        return {"type": "reasoning_text", **self.said()}

    def said(self) -> dict[str, Any]:
        return {"text": self.text}


class Call(Saying):
    """A call of a tool."""

    prefix, about = "fc", "function_call_arguments"

    def __init__(self, name: str, call_id: str, namespace: str | None = None) -> None:
        super().__init__()
        self._space = {} if namespace is None else {"namespace": namespace}
        self.name, self.call_id = name, call_id or f"call_{uuid.uuid4().hex[:24]}"

    def item(self, status: Status) -> Item:
        return {
            "id": self.id, "type": "function_call", "status": status, "call_id": self.call_id,
            **self._space, "name": self.name, **self.said(),
        }  # fmt: skip

    def said(self) -> dict[str, Any]:
        return {"arguments": self.text}
