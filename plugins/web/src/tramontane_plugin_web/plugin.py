"""The chat page, and the command that opens it."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Command, Page, hookimpl

WEB = "Serve models, and open the chat page in a browser."
CHAT = "Chats with the server's models, in the browser."


@hookimpl
def commands() -> Iterable[Command]:
    """`tramontane web`."""
    yield Command(name="web", summary=WEB, run="tramontane_plugin_web.command:run")


@hookimpl
def pages() -> Iterable[Page]:
    """The chat at `/`."""
    yield Page(name="chat", summary=CHAT, path="/", files="tramontane_plugin_web:static")
