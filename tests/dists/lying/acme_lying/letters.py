"""Writes its aliases as one string."""

from collections.abc import Iterator

from tramontane.plugin import Sampler, hookimpl


@hookimpl
def samplers() -> Iterator[Sampler]:
    yield Sampler(
        name="acme_letter",
        aliases="acme_letters",  # type: ignore[arg-type]
        order=500,
        build="acme_good.half:build",
    )
