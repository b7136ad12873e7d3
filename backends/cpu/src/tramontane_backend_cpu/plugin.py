"""The offers of this distribution."""

from collections.abc import Iterator

from tramontane.plugin import Backend, Interconnect, hookimpl


@hookimpl
def backends() -> Iterator[Backend]:
    yield Backend(
        name="cpu",
        probe="tramontane_backend_cpu.device:probe",
        prepare="tramontane_backend_cpu.prepare:prepare",
        pack="tramontane_backend_cpu.prepare:repack",
        translate="tramontane_backend_cpu.prepare:translate",
        expect="tramontane_backend_cpu.preallocate:expect",
        multiply="tramontane_backend_cpu.prepare:multiply",
        bind="tramontane_backend_cpu.prepare:bind",
        foresee="tramontane_backend_cpu.kernel_forecast:foresee",
        takes_products=True,
        keep="tramontane_backend_cpu.kept_layouts:KeptLayouts",
    )


@hookimpl
def interconnects() -> Iterator[Interconnect]:
    """Memory that the processes of one machine share."""
    yield Interconnect(name="shm", join="tramontane_backend_cpu.ranks.shared:SharedMemory")
