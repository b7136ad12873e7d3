"""A response's events in the order that OpenAI's clients expect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tramontane_plugin_server.http.stream import event

from .response_output import Change
from .response_state import ResponseState


class Wire:
    """The numbered events of one response, recorded if the response has a recording."""

    def __init__(self, state: ResponseState) -> None:
        self._state = state
        self._number = 0
        self._opening = b"".join(
            self._event(f"response.{kind}", response=state.as_dict())
            for kind in ("created", "in_progress")
        )

    def opening(self) -> bytes:
        """The events before the first output; empty if they were sent."""
        opening, self._opening = self._opening, b""
        return opening

    def changes(self, changes: Iterable[Change]) -> bytes:
        """The events of changes of the output."""
        return b"".join(self._event(kind, **fields) for kind, fields in changes)

    def end(self) -> bytes:
        """The event of the completed or incomplete response."""
        return self._event(f"response.{self._state.status}", response=self._state.as_dict())

    def failed(self, error: Exception) -> bytes:
        """The event of a failure after the first event."""
        self._state.fail(error)
        return self.opening() + self._event("response.failed", response=self._state.as_dict())

    def _event(self, kind: str, **fields: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        found = event({"type": kind, "sequence_number": number, **fields}, kind)
        if self._state.recording is not None:
            self._state.size += self._state.recording.add(found)
        return found
