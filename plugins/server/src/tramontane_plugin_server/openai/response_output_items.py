"""The output items of a response, built while the answer is generated."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

Item = dict[str, Any]
Status = Literal["in_progress", "completed", "incomplete"]


class OpenItem(ABC):
    """An item of which a part of the text is generated."""

    prefix: ClassVar[str]
    """The prefix of its id."""
    event_name: ClassVar[str]
    """The name of its text in the types of events."""

    def __init__(self) -> None:
        self.id = f"{self.prefix}_{uuid.uuid4().hex}"
        self.texts: list[str] = []
        self.logprobs: list[dict[str, Any]] = []

    @property
    def text(self) -> str:
        """The text of the item."""
        return "".join(self.texts)

    @abstractmethod
    def item(self, status: Status) -> Item:
        """The item in its current state; without content while it is in progress."""

    def part(self) -> dict[str, Any] | None:
        """The content part, None for items without content."""
        return None

    @abstractmethod
    def final_fields(self) -> dict[str, Any]:
        """The fields of the event at its end."""


class Message(OpenItem):
    """A message to the user."""

    prefix, event_name = "msg", "output_text"

    def item(self, status: Status) -> Item:
        content = [] if status == "in_progress" else [self.part()]
        return {
            "id": self.id, "type": "message", "role": "assistant", "status": status,
            "content": content,
        }  # fmt: skip

    def part(self) -> dict[str, Any]:
        return {"type": "output_text", "annotations": [], **self.final_fields()}

    def final_fields(self) -> dict[str, Any]:
        return {"logprobs": list(self.logprobs), "text": self.text}


class Reasoned(OpenItem):
    """Reasoning before the answer."""

    prefix, event_name = "rs", "reasoning_text"

    def item(self, status: Status) -> Item:
        content = [] if status == "in_progress" else [self.part()]
        return {
            "id": self.id, "type": "reasoning", "summary": [], "content": content,
            "status": status,
        }  # fmt: skip

    def part(self) -> dict[str, Any]:
        return {"type": "reasoning_text", **self.final_fields()}

    def final_fields(self) -> dict[str, Any]:
        return {"text": self.text}


class Call(OpenItem):
    """A tool call."""

    prefix, event_name = "fc", "function_call_arguments"

    def __init__(self, name: str, call_id: str, namespace: str | None = None) -> None:
        super().__init__()
        self._namespace = {} if namespace is None else {"namespace": namespace}
        self.name, self.call_id = name, call_id or f"call_{uuid.uuid4().hex[:24]}"

    def item(self, status: Status) -> Item:
        return {
            "id": self.id, "type": "function_call", "status": status, "call_id": self.call_id,
            **self._namespace, "name": self.name, **self.final_fields(),
        }  # fmt: skip

    def final_fields(self) -> dict[str, Any]:
        return {"arguments": self.text}
