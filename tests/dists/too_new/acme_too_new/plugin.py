"""Was written for a core that is not there yet."""

from collections.abc import Iterator

from tramontane.plugin import Sampler, hookimpl


@hookimpl
def samplers() -> Iterator[Sampler]:
    yield Sampler(name="acme_too_new", order=500, build="acme_good.half:build")
