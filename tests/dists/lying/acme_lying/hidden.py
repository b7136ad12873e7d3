"""Offers more than it advertises: its entry point is an alias only."""

from collections.abc import Iterator

from tramontane.plugin import Sampler, hookimpl


@hookimpl
def samplers() -> Iterator[Sampler]:
    yield Sampler(
        aliases=("acme_second_name",),
        name="acme_first_name",
        order=500,
        build="acme_good.half:build",
    )
