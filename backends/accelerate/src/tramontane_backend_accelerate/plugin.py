"""The offers of this distribution."""

from collections.abc import Iterator

from tramontane.plugin import Backend, hookimpl


@hookimpl
def backends() -> Iterator[Backend]:
    yield Backend(
        name="accelerate",
        stands_on="cpu",
        probe="tramontane_backend_accelerate.device:probe",
        explain="tramontane_backend_accelerate.explain:explain",
        products="tramontane_backend_accelerate.products:products",
    )
