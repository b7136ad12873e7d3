"""A message's events in the order that Anthropic's clients expect."""

from __future__ import annotations

from typing import Any

from tramontane_plugin_server.http.stream import event


class Wire:
    """message_start, then blocks one after the other, each begun by its first piece, then the end.

    begun: whether the message is.
    """

    def __init__(self) -> None:
        self.begun = False
        self._index = -1
        self._open: str | None = None

    def start(self, message: dict[str, Any]) -> bytes:
        """The message before its first block."""
        self.begun = True
        return _event("message_start", message=message)

    def text(self, text: str) -> bytes:
        """More text; nothing for none."""
        if not text:
            return b""
        delta = {"type": "text_delta", "text": text}
        return self._block("text", {"type": "text", "text": ""}) + self._delta(delta)

    def stop(self, end: dict[str, Any], usage: dict[str, int]) -> bytes:
        """Why the message ends, and what it took."""
        last = _event("message_delta", delta=end, usage=usage) + _event("message_stop")
        return self._close() + last

    def _block(self, kind: str, empty: dict[str, Any]) -> bytes:
        """Begin a block unless one of its kind is open."""
        if self._open == kind:
            return b""
        before = self._close()
        self._open = kind
        self._index += 1
        begun = _event("content_block_start", index=self._index, content_block=empty)
        return before + begun + (_event("ping") if self._index == 0 else b"")

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", index=self._index, delta=delta)

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return _event("content_block_stop", index=self._index)


def _event(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, **fields}, kind)
