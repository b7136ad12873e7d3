"""The offers of this distribution."""

from collections.abc import Iterator

from tramontane.plugin import Backend, hookimpl


@hookimpl
def backends() -> Iterator[Backend]:
    yield Backend(
        name="mkl",
        stands_on="cpu",
        probe="tramontane_backend_mkl.device:probe",
        explain="tramontane_backend_mkl.explain:explain",
        products="tramontane_backend_mkl.products:products",
    )
