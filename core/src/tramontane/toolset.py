"""What toolsets deal in: a conversation's context, and the session of tools opened for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .chat.toolbox import Function


@dataclass(frozen=True, kw_only=True)
class ToolContext:
    """The conversation that tools are opened for.

    conversation: its id. folder: an existing folder for its files, which outlives the session and
    which other toolsets of the conversation use too. media: kinds that the model takes ("image",
    "audio", "video"). options: all options of the toolset, with the owner's values.
    """

    conversation: str
    folder: Path
    media: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)


class ToolSession(Protocol):
    """The open tools of one conversation."""

    def functions(self) -> Sequence[Function]:
        """The tools, asked for before each turn. Each has its `risk`; `run` returns a text, a
        `tramontane.tools.ToolResult`, or a value that is written as JSON."""
        ...


class OpenToolset(Protocol):
    """A toolset's target.

    A session is opened, used and closed in one event loop, in which coroutine functions run too;
    other functions run in a thread each, calls of one answer at once. A call that is late or not
    wanted any more is cancelled, as coroutines are; a thread is left behind. The context manager
    raises TramontaneError where there can be no session, and says what to do about it.
    """

    def __call__(self, context: ToolContext) -> AbstractAsyncContextManager[ToolSession]: ...
