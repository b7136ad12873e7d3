"""Advertises a name and offers another, which it does not advertise."""

from collections.abc import Iterator

from tramontane.plugin import Sampler, hookimpl


@hookimpl
def samplers() -> Iterator[Sampler]:
    yield Sampler(name="acme_other", order=500, build="acme_good.half:build")
