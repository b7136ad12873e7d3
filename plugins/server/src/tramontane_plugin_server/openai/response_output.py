"""The output of a response, built from the deltas of the stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tramontane.answers import CallArguments, CallEnd, CallStart, Content, Delta, Reasoning

from .response_output_items import Call, Item, Message, OpenItem, Reasoned

Change: TypeAlias = tuple[str, dict[str, Any]]
"""The type of an event and its fields."""


class Output:
    """Items in their order; the last may be open.

    items: the closed ones. reasoning_tokens: of these and the open one.
    hidden: names of tools that run in the server, whose calls are no items.
    namespaces: the name by which the model calls a function, to its namespace and name.
    """

    def __init__(self) -> None:
        self.hidden: frozenset[str] = frozenset()
        self.namespaces: Mapping[str, tuple[str, str]] = {}
        self.items: list[Item] = []
        self.reasoning_tokens = 0
        self._open: OpenItem | None = None
        self._pending_logprobs: list[dict[str, Any]] = []
        self._changes: list[Change] = []

    def push(self, deltas: Sequence[Delta], logprob: dict[str, Any] | None = None) -> list[Change]:
        """Add deltas; returns the changes. logprob: of the token that caused them.

        Tokens without text yet: their log-probabilities are sent with the next text.
        """
        if logprob is not None:
            self._pending_logprobs.append(logprob)
        for delta in deltas:
            self._push(delta)
        return self._take_changes()

    def count(self) -> None:
        """Count a token as reasoning if a reasoning item is open."""
        self.reasoning_tokens += isinstance(self._open, Reasoned)

    def end(self, *, complete: bool) -> list[Change]:
        """End the output; an empty one becomes an empty message. complete: not truncated."""
        if self._open is None and not self.items:
            self._begin(Message())
        if isinstance(self._open, Message) and self._pending_logprobs:
            self._append_text("")
        self._close(complete=complete)
        return self._take_changes()

    def add(self, item: Item) -> list[Change]:
        """Add a whole item: a call that ran in the server."""
        self._close(complete=True)
        index, kind = len(self.items), item["type"]
        place = {"output_index": index, "item_id": item["id"]}
        self._add_change(
            "output_item.added", output_index=index, item={**item, "status": "in_progress"}
        )
        self._add_change(f"{kind}.in_progress", **place)
        if item["status"] == "completed":
            self._add_change(f"{kind}.completed", **place)
        self.items.append(item)
        self._add_change("output_item.done", output_index=index, item=item)
        return self._take_changes()

    def stop(self) -> None:
        """Stop before the end of the answer; the items so far are kept."""
        self._close(complete=False)
        self._take_changes()

    def _push(self, delta: Delta) -> None:
        match delta:
            case Content(text):
                if not isinstance(self._open, Message):
                    self._begin(Message())
                self._append_text(text)
            case Reasoning(text):
                if not isinstance(self._open, Reasoned):
                    self._begin(Reasoned())
                self._append_text(text)
            case CallStart(_, name, identity) if name not in self.hidden:
                space, name = self.namespaces.get(name, (None, name))
                self._begin(Call(name, identity, space))
            case CallStart():
                self._close(complete=True)
            case CallArguments(_, text):
                self._append_text(text)
            case CallEnd(_, complete):
                if self._open is None:  # of a hidden call
                    self._pending_logprobs = []
                self._close(complete=complete)

    def _begin(self, item: OpenItem) -> None:
        if self._open is not None or self.items:
            self._pending_logprobs = self._pending_logprobs[
                -1:
            ]  # the tokens before belong to what was before
        self._close(complete=True)
        self._open = item
        index = len(self.items)
        self._add_change("output_item.added", output_index=index, item=item.item("in_progress"))
        if (part := item.part()) is not None:
            self._add_change("content_part.added", **self._location(item), part=part)

    def _append_text(self, text: str) -> None:
        item = self._open
        if item is None:
            return
        item.texts.append(text)
        more: dict[str, Any] = {}
        pending, self._pending_logprobs = self._pending_logprobs, []
        if isinstance(item, Message):
            item.logprobs += pending
            more["logprobs"] = pending
        self._add_change(f"{item.event_name}.delta", **self._location(item), delta=text, **more)

    def _close(self, *, complete: bool) -> None:
        item, self._open = self._open, None
        if item is None:
            return
        location, index = self._location(item), len(self.items)
        self._add_change(f"{item.event_name}.done", **location, **item.final_fields())
        if (part := item.part()) is not None:
            self._add_change("content_part.done", **location, part=part)
        self.items.append(item.item("completed" if complete else "incomplete"))
        self._add_change("output_item.done", output_index=index, item=self.items[-1])

    def _location(self, item: OpenItem) -> dict[str, Any]:
        location: dict[str, Any] = {"output_index": len(self.items), "item_id": item.id}
        return location if item.part() is None else {**location, "content_index": 0}

    def _add_change(self, kind: str, **fields: Any) -> None:
        self._changes.append((f"response.{kind}", fields))

    def _take_changes(self) -> list[Change]:
        found, self._changes = self._changes, []
        return found
