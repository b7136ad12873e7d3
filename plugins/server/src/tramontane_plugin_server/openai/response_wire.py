"""A response's events in the order that OpenAI's clients expect."""

from __future__ import annotations

from typing import Any

from tramontane.engine.request import Event, Finished

from tramontane_plugin_server.http.stream import event

from . import answer
from .response_making import Making


class Wire:
    """The events of one response, numbered."""

    def __init__(self, making: Making) -> None:
        self._making = making
        self._number = 0
        item, part = making.item(empty=True), making.part(empty=True)
        self._place = {"output_index": 0, "item_id": item["id"], "content_index": 0}
        self._opening = b"".join((
            self._event("response.created", response=making.shown()),
            self._event("response.in_progress", response=making.shown()),
            self._event("response.output_item.added", output_index=0, item=item),
            self._event("response.content_part.added", **self._place, part=part),
        ))  # fmt: skip

    def opening(self) -> bytes:
        """The response and its message as they are before the first word; nothing if told."""
        opening, self._opening = self._opening, b""
        return opening

    def piece(self, one: Event) -> bytes:
        """More text; nothing for none."""
        entry = None if isinstance(one, Finished) else one.logprob
        if not one.text and entry is None:
            return b""
        logprobs = [] if entry is None else [answer.logprob(entry)]
        return self._event(
            "response.output_text.delta", **self._place, delta=one.text, logprobs=logprobs
        )

    def end(self) -> bytes:
        """The whole text, and the response that is completed or incomplete."""
        making = self._making
        part = making.part()
        text = {"text": part["text"], "logprobs": part["logprobs"]}
        return (
            self._event("response.output_text.done", **self._place, **text)
            + self._event("response.content_part.done", **self._place, part=part)
            + self._event("response.output_item.done", output_index=0, item=making.item())
            + self._event(f"response.{making.status}", response=making.shown())
        )

    def failed(self, error: Exception) -> bytes:
        """The end, for what fails once there are events."""
        self._making.fail(error)
        return self.opening() + self._event("response.failed", response=self._making.shown())

    def _event(self, kind: str, **fields: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return event({"type": kind, "sequence_number": number, **fields}, kind)
