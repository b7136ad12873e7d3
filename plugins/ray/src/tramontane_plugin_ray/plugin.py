"""The command that deploys replicas."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Command, hookimpl

DEPLOY = "Serve a model by several replicas, which Ray places and watches, at one address."


@hookimpl
def commands() -> Iterable[Command]:
    """`tramontane deploy`."""
    yield Command(name="deploy", summary=DEPLOY, run="tramontane_plugin_ray.deploy:run")
