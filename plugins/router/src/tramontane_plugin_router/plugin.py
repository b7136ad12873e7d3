"""The router's command."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Command, hookimpl

ROUTE = "Put several servers behind one address."


@hookimpl
def commands() -> Iterable[Command]:
    """`tramontane route`."""
    yield Command(name="route", summary=ROUTE, run="tramontane_plugin_router.route:run")
