"""The content blocks of an answer, built from the deltas of the stream."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, TypeAlias

from pydantic_core import from_json
from tramontane.answers import CallArguments, CallEnd, CallStart, Content, Delta, Reasoning

Change: TypeAlias = tuple[str, dict[str, Any]]
"""The type of an event and its fields."""
STREAMED_FIELDS = {"text": "text", "thinking": "thinking", "tool_use": "input"}
"""The field of each type of block that is streamed in deltas."""


class Blocks:
    """Blocks in their order; the last may be open.

    finished: the closed ones. has_tool_use: whether there is a complete tool call.
    omit_thinking: send thinking blocks without text.
    hidden: names of tools that run in the server, whose calls are no blocks.
    """

    def __init__(
        self, *, omit_thinking: bool = False, hidden: frozenset[str] = frozenset()
    ) -> None:
        self.finished: list[dict[str, Any]] = []
        self.has_tool_use = False
        self._omit_thinking, self._hidden = omit_thinking, hidden
        self._open: dict[str, Any] | None = None
        self._texts: list[str] = []
        self._changes: list[Change] = []

    def push(self, deltas: Sequence[Delta]) -> list[Change]:
        """Add deltas; returns the changes."""
        for delta in deltas:
            self._push(delta)
        return self._take_changes()

    def add(self, block: dict[str, Any]) -> list[Change]:
        """Add a whole block, of a tool that runs in the server."""
        self._close()
        self._add_change("content_block_start", content_block=block)
        self._add_change("content_block_stop")
        self.finished.append(block)
        return self._take_changes()

    def end(self) -> list[Change]:
        """Close the last block."""
        self._close()
        return self._take_changes()

    def _push(self, delta: Delta) -> None:
        match delta:
            case Content(text):
                self._begin({"type": "text", "text": ""})
                self._append_text(text, {"type": "text_delta", "text": text})
            case Reasoning(text):
                self._begin({"type": "thinking", "thinking": "", "signature": ""})
                if not self._omit_thinking:
                    self._append_text(text, {"type": "thinking_delta", "thinking": text})
            case CallStart(_, name, identity):
                self._close()
                if name in self._hidden:
                    return
                identity = identity or f"toolu_{uuid.uuid4().hex[:24]}"
                self._begin({"type": "tool_use", "id": identity, "name": name, "input": {}})
            case CallArguments(_, text) if self._open is not None:
                self._append_text(text, {"type": "input_json_delta", "partial_json": text})
            case CallEnd(_, complete):
                self.has_tool_use |= complete and self._open is not None
                self._close()

    def _begin(self, block: dict[str, Any]) -> None:
        """Begin a block unless one of its type is open."""
        if self._open is not None and self._open["type"] == block["type"]:
            return
        self._close()
        self._open = block
        self._add_change("content_block_start", content_block=dict(block))

    def _append_text(self, text: str, delta: dict[str, Any]) -> None:
        self._texts.append(text)
        self._add_change("content_block_delta", delta=delta)

    def _close(self) -> None:
        block, self._open = self._open, None
        if block is None:
            return
        self._add_change("content_block_stop")
        text, self._texts = "".join(self._texts), []
        kind = block["type"]
        self.finished.append(
            {**block, STREAMED_FIELDS[kind]: _input(text) if kind == "tool_use" else text}
        )

    def _add_change(self, kind: str, **fields: Any) -> None:
        self._changes.append((kind, {"index": len(self.finished), **fields}))

    def _take_changes(self) -> list[Change]:
        found, self._changes = self._changes, []
        return found


def _input(text: str) -> Any:
    """The input of a call; of a truncated one the complete beginning, as clients parse it."""
    return from_json(text, allow_partial=True) if text else {}
