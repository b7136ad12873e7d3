"""What `tramontane doctor` is told: pyopencl, drivers, devices, and what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from tramontane.backend import Reason

from .loader import Found, LoaderError, drivers, look

GET_DRIVER = (
    "install your device's driver with OpenCL (Mesa's rusticl, Intel's compute runtime, AMD's, "
    "NVIDIA's), or, to run on the processor, pip install pocl-binary-distribution"
)


def explain() -> list[Reason]:
    """Of this machine. Implements `plugin.Backend.explain`."""
    there = find_spec("pyopencl") is not None
    return list(reasons(there, drivers() if there else (), look, os.environ.get("OCL_ICD_VENDORS")))


def reasons(
    there: bool, files: Sequence[str], found: Callable[[], list[Found]], vendors: str | None
) -> list[Reason]:
    """there: whether pyopencl is installed. files: that name drivers. found: what looks for
    devices. vendors: the variable of the environment OCL_ICD_VENDORS."""
    if not there:
        return [Reason("pyopencl is not installed", "pip install pyopencl")]
    where = f"OCL_ICD_VENDORS is {vendors}" if vendors else "OCL_ICD_VENDORS is not set"
    if not files:
        return [Reason(f"no OpenCL driver is registered ({where})", GET_DRIVER)]
    try:
        devices = found()
    except LoaderError as error:
        return [Reason(f"an OpenCL driver does not answer: {error} ({where})", GET_DRIVER)]
    if not devices:
        return [
            Reason(f"{len(files)} OpenCL drivers, and none finds a device ({where})", GET_DRIVER)
        ]
    return [_of(each) for each in devices]


def _of(each: Found) -> Reason:
    said = f"{each.name}, {each.version}, {', '.join(each.features) or 'no extensions in use'}"
    if each.lacks:
        return Reason(f"{said}: not usable: {each.lacks}", "update its driver")
    if each.is_processor:
        return Reason(
            f"{said}: the processor itself, slower than --device cpu; only when asked for"
        )
    return Reason(said)
