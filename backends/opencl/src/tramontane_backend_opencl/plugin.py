"""The offers of this distribution."""

from collections.abc import Iterator

from tramontane.plugin import Backend, hookimpl


@hookimpl
def backends() -> Iterator[Backend]:
    yield Backend(
        name="opencl",
        probe="tramontane_backend_opencl.device:probe",
        explain="tramontane_backend_opencl.explain:explain",
        prepare="tramontane_backend_opencl.prepare:prepare",
        pack="tramontane_backend_opencl.prepare:pack",
        multiply="tramontane_backend_opencl.prepare:multiply",
    )
