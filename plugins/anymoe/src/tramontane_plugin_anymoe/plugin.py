"""The offers of this distribution."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import AdapterForm, Command, hookimpl

SUMMARY = "Train a gate that chooses, for each prompt, among experts of a model."


@hookimpl
def adapters() -> Iterable[AdapterForm]:
    """Folders that `tramontane anymoe train` has written, told by `anymoe.json`."""
    yield AdapterForm(
        name="anymoe",
        files=("anymoe.json",),
        open="tramontane_plugin_anymoe.mixture:open_mixture",
        sample="tramontane_plugin_anymoe.sample:write",
    )


@hookimpl
def commands() -> Iterable[Command]:
    """`tramontane anymoe`."""
    yield Command(name="anymoe", summary=SUMMARY, run="tramontane_plugin_anymoe.command:run")
