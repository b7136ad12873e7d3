"""A hook whose name has two letters swapped."""

from collections.abc import Iterator

from tramontane.plugin import Sampler, hookimpl


@hookimpl
def sampelrs() -> Iterator[Sampler]:
    yield Sampler(name="acme_misspelt", order=500, build="acme_good.half:build")
