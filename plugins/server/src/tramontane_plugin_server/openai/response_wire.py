"""A response's events in the order that OpenAI's clients expect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tramontane_plugin_server.http.stream import event

from .response_making import Making
from .response_output import Change


class Wire:
    """The events of one response, numbered. They are recorded too if the response asks for it."""

    def __init__(self, making: Making) -> None:
        self._making = making
        self._number = 0
        self._opening = b"".join(
            self._event(f"response.{kind}", response=making.shown())
            for kind in ("created", "in_progress")
        )

    def opening(self) -> bytes:
        """The response as it is before the first word; nothing if told."""
        opening, self._opening = self._opening, b""
        return opening

    def pieces(self, changes: Iterable[Change]) -> bytes:
        """What has become of the output."""
        return b"".join(self._event(kind, **fields) for kind, fields in changes)

    def end(self) -> bytes:
        """The response that is completed or incomplete."""
        return self._event(f"response.{self._making.status}", response=self._making.shown())

    def failed(self, error: Exception) -> bytes:
        """The end, for what fails once there are events."""
        self._making.fail(error)
        return self.opening() + self._event("response.failed", response=self._making.shown())

    def _event(self, kind: str, **fields: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        found = event({"type": kind, "sequence_number": number, **fields}, kind)
        if self._making.recording is not None:
            self._making.size += self._making.recording.add(found)
        return found
