"""The events of a message, in the order that Anthropic's clients expect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tramontane_plugin_server.http.stream import event

from .content import Change


class Wire:
    """message_start, the events of the blocks in turn, then the end.

    begun: whether message_start was sent.
    """

    def __init__(self) -> None:
        self.begun = False
        self._pinged = False

    def start(self, message: dict[str, Any]) -> bytes:
        """The message before its first block."""
        self.begun = True
        return _event("message_start", message=message)

    def changes(self, changes: Iterable[Change]) -> bytes:
        """The events of changes of the blocks."""
        found: list[bytes] = []
        for kind, fields in changes:
            found.append(_event(kind, **fields))
            if not self._pinged:
                self._pinged = True
                found.append(_event("ping"))
        return b"".join(found)

    def stop(self, end: dict[str, Any], **more: Any) -> bytes:
        """The stop reason. more: usage, and the calls that ran in the server."""
        return _event("message_delta", delta=end, **more) + _event("message_stop")


def _event(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, **fields}, kind)
