"""The command that shows a running server."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Command, hookimpl


@hookimpl
def commands() -> Iterable[Command]:
    """`tramontane top`."""
    yield Command(
        name="top",
        summary="Show what a running server does: requests, tokens a second, cache, models.",
        run="tramontane_plugin_top.command:run",
    )
