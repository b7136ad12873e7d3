"""A plugin as it should be: one sampler under two names, and an ear for loaded models."""

from collections.abc import Iterator

from tramontane.plugin import Sampler, hookimpl


@hookimpl
def samplers() -> Iterator[Sampler]:
    yield Sampler(
        name="acme_half",
        aliases=("acme_halved",),
        order=500,
        options={"keep": 1.0},
        build="acme_good.half:build",
    )


@hookimpl
def model_loaded(report: object) -> None:
    print(f"acme-good heard of {report}")
