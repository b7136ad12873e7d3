"""Yields the record of another kind."""

from collections.abc import Iterator

from tramontane.plugin import Command, hookimpl


@hookimpl
def samplers() -> Iterator[Command]:
    yield Command(name="acme_wrong_record", summary="Not a sampler.", run="acme_good.half:build")
