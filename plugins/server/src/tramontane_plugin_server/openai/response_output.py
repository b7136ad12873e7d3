"""The output of a response, built from the deltas of the stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tramontane.answers import CallArguments, CallEnd, CallStart, Content, Delta, Reasoning

from .response_output_items import Call, Item, Message, Saying, Thought

Change: TypeAlias = tuple[str, dict[str, Any]]
"""The type of an event and its fields."""


class Output:
    """Items one after the other, of which the last may be open.

    items: those that are through. tokens: of them and the open one, those of reasoning.
    hidden: names of tools whose calls are not the client's to run, and so are no items.
    namespaces: what the model calls the functions of one, to the namespace and their name there.
    """

    def __init__(self) -> None:
        self.hidden: frozenset[str] = frozenset()
        self.namespaces: Mapping[str, tuple[str, str]] = {}
        self.items: list[Item] = []
        self.reasoning_tokens = 0
        self._open: Saying | None = None
        self._held: list[dict[str, Any]] = []
        self._changes: list[Change] = []

    def take(self, deltas: Sequence[Delta], logprob: dict[str, Any] | None = None) -> list[Change]:
        """Pieces of the answer. logprob: of the token that brought them.

        Some tokens bring nothing yet: their probabilities are told with the text, once it comes.
        """
        if logprob is not None:
            self._held.append(logprob)
        for delta in deltas:
            self._take(delta)
        return self._told()

    def count(self) -> None:
        """A token has come: it is one of the reasoning if that is where the answer is."""
        self.reasoning_tokens += isinstance(self._open, Thought)

    def end(self, *, whole: bool) -> list[Change]:
        """The answer is over. One that says nothing is an empty message. whole: not cut off."""
        if self._open is None and not self.items:
            self._begin(Message())
        if isinstance(self._open, Message) and self._held:
            self._say("")
        self._close(whole=whole)
        return self._told()

    def stop(self) -> None:
        """Stop before the end of the answer; the items so far are kept."""
        self._close(whole=False)
        self._told()

    def _take(self, delta: Delta) -> None:
        match delta:
            case Content(text):
                if not isinstance(self._open, Message):
                    self._begin(Message())
                self._say(text)
            case Reasoning(text):
                if not isinstance(self._open, Thought):
                    self._begin(Thought())
                self._say(text)
            case CallStart(_, name, identity) if name not in self.hidden:
                space, name = self.namespaces.get(name, (None, name))
                self._begin(Call(name, identity, space))
            case CallStart():
                self._close(whole=True)
            case CallArguments(_, text):
                self._say(text)
            case CallEnd(_, whole):
                if self._open is None:  # of a hidden call
                    self._held = []
                self._close(whole=whole)

    def _begin(self, item: Saying) -> None:
        if self._open is not None or self.items:
            self._held = self._held[-1:]  # the tokens before belong to what was before
        self._close(whole=True)
        self._open = item
        index = len(self.items)
        self._tell("output_item.added", output_index=index, item=item.item("in_progress"))
        if (part := item.part()) is not None:
            self._tell("content_part.added", **self._place(item), part=part)

    def _say(self, text: str) -> None:
        item = self._open
        if item is None:
            return
        item.pieces.append(text)
        more: dict[str, Any] = {}
        held, self._held = self._held, []
        if isinstance(item, Message):
            item.logprobs += held
            more["logprobs"] = held
        self._tell(f"{item.about}.delta", **self._place(item), delta=text, **more)

    def _close(self, *, whole: bool) -> None:
        item, self._open = self._open, None
        if item is None:
            return
        place, index = self._place(item), len(self.items)
        self._tell(f"{item.about}.done", **place, **item.said())
        if (part := item.part()) is not None:
            self._tell("content_part.done", **place, part=part)
        self.items.append(item.item("completed" if whole else "incomplete"))
        self._tell("output_item.done", output_index=index, item=self.items[-1])

    def _place(self, item: Saying) -> dict[str, Any]:
        place: dict[str, Any] = {"output_index": len(self.items), "item_id": item.id}
        return place if item.part() is None else {**place, "content_index": 0}

    def _tell(self, kind: str, **fields: Any) -> None:
        self._changes.append((f"response.{kind}", fields))

    def _told(self) -> list[Change]:
        found, self._changes = self._changes, []
        return found
