"""Offers a name that another distribution offers too."""

from collections.abc import Iterator

from tramontane.plugin import Sampler, hookimpl


@hookimpl
def samplers() -> Iterator[Sampler]:
    yield Sampler(name="acme_clash", order=500, build="acme_good.half:build")
