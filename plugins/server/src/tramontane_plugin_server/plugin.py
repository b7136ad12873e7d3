"""The server's commands."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Command, hookimpl

SERVE = "Serve models over HTTP, as OpenAI's and Anthropic's APIs do."
CONFIG = "Show the settings that `serve` would run with."


@hookimpl
def commands() -> Iterable[Command]:
    """`tramontane serve` and `tramontane config serve`."""
    yield Command(name="serve", summary=SERVE, run="tramontane_plugin_server.serve:run")
    yield Command(name="config", summary=CONFIG, run="tramontane_plugin_server.serve:config")
