"""A hook that wants an argument that nobody passes."""

from collections.abc import Iterator

from tramontane.plugin import Sampler, hookimpl


@hookimpl
def samplers(config: object) -> Iterator[Sampler]:
    yield Sampler(name="acme_wrong_argument", order=500, build="acme_good.half:build")
