"""The content blocks of an answer, built from the deltas of the stream."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, TypeAlias

from pydantic_core import from_json
from tramontane.answers import CallArguments, CallEnd, CallStart, Content, Delta, Reasoning

Change: TypeAlias = tuple[str, dict[str, Any]]
"""The type of an event and its fields."""
PIECES = {"text": "text", "thinking": "thinking", "tool_use": "input"}
"""The field of each type of block that is streamed in deltas."""


class Blocks:
    """Blocks one after the other, of which the last may be open.

    done: those that are through. called: whether a tool is, by a call that is whole.
    omit: whether thinking stays untold.
    hidden: names of tools whose calls are not the client's to run, and so are no blocks.
    """

    def __init__(self, *, omit: bool = False, hidden: frozenset[str] = frozenset()) -> None:
        self.done: list[dict[str, Any]] = []
        self.called = False
        self._omit, self._hidden = omit, hidden
        self._open: dict[str, Any] | None = None
        self._pieces: list[str] = []
        self._changes: list[Change] = []

    def take(self, deltas: Sequence[Delta]) -> list[Change]:
        """Pieces of the answer; what they change."""
        for delta in deltas:
            self._take(delta)
        return self._told()

    def end(self) -> list[Change]:
        """The answer is over."""
        self._close()
        return self._told()

    def _take(self, delta: Delta) -> None:
        match delta:
            case Content(text):
                self._begin({"type": "text", "text": ""})
                self._say(text, {"type": "text_delta", "text": text})
            case Reasoning(text):
                self._begin({"type": "thinking", "thinking": "", "signature": ""})
                if not self._omit:
                    self._say(text, {"type": "thinking_delta", "thinking": text})
            case CallStart(_, name, identity):
                self._close()
                if name in self._hidden:
                    return
                identity = identity or f"toolu_{uuid.uuid4().hex[:24]}"
                self._begin({"type": "tool_use", "id": identity, "name": name, "input": {}})
            case CallArguments(_, text) if self._open is not None:
                self._say(text, {"type": "input_json_delta", "partial_json": text})
            case CallEnd(_, whole):
                self.called |= whole and self._open is not None
                self._close()

    def _begin(self, block: dict[str, Any]) -> None:
        """Begin a block unless one of its type is open."""
        if self._open is not None and self._open["type"] == block["type"]:
            return
        self._close()
        self._open = block
        self._tell("content_block_start", content_block=dict(block))

    def _say(self, text: str, delta: dict[str, Any]) -> None:
        self._pieces.append(text)
        self._tell("content_block_delta", delta=delta)

    def _close(self) -> None:
        block, self._open = self._open, None
        if block is None:
            return
        self._tell("content_block_stop")
        text, self._pieces = "".join(self._pieces), []
        kind = block["type"]
        self.done.append({**block, PIECES[kind]: _input(text) if kind == "tool_use" else text})

    def _tell(self, kind: str, **fields: Any) -> None:
        self._changes.append((kind, {"index": len(self.done), **fields}))

    def _told(self) -> list[Change]:
        found, self._changes = self._changes, []
        return found


def _input(text: str) -> Any:
    """A call's input; of one that was cut off what its beginning says, as clients read it too."""
    return from_json(text, allow_partial=True) if text else {}
