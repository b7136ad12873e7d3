"""The offers of this distribution."""

from collections.abc import Iterator

from tramontane.plugin import Backend, hookimpl


@hookimpl
def backends() -> Iterator[Backend]:
    yield Backend(
        name="metal",
        probe="tramontane_backend_metal.device:probe",
        explain="tramontane_backend_metal.explain:explain",
        prepare="tramontane_backend_metal.prepare:prepare",
        pack="tramontane_backend_metal.prepare:pack",
        multiply="tramontane_backend_metal.prepare:multiply",
    )
