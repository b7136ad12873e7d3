"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Command, hookimpl

SUMMARY = "Take the command lines of rustformers' llm."


@hookimpl
def commands() -> Iterable[Command]:
    """`tramontane llm`, which is `llm-rs` too."""
    yield Command(name="llm", summary=SUMMARY, run="tramontane_plugin_llm.cli.main:run")
