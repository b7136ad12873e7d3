"""The command that runs programs in a sandbox."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Command, hookimpl

HERE = "tramontane_plugin_sandbox"


@hookimpl
def commands() -> Iterable[Command]:
    """`tramontane sandbox`."""
    yield Command(
        name="sandbox",
        summary="Run a command in the sandbox of models' code, or say what it holds.",
        run=f"{HERE}.command:run",
    )
