"""The offers of this distribution."""

from collections.abc import Iterator

from tramontane.plugin import Backend, hookimpl


@hookimpl
def backends() -> Iterator[Backend]:
    yield Backend(
        name="cuda",
        aliases=("rocm", "xpu"),
        probe="tramontane_backend_cuda.device:probe",
        explain="tramontane_backend_cuda.explain:explain",
        prepare="tramontane_backend_cuda.prepare:prepare",
        pack="tramontane_backend_cuda.prepare:pack",
        multiply="tramontane_backend_cuda.prepare:multiply",
    )
