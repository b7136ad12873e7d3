"""The command."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Command, hookimpl

SUMMARY = "Run a command line of mistral.rs."


@hookimpl
def commands() -> Iterable[Command]:
    """`tramontane mistralrs`."""
    yield Command(
        name="mistralrs", summary=SUMMARY, run="tramontane_plugin_mistralrs.command:command"
    )
