"""MKL's products for the CPU backend's steps."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from tramontane.backend import Device
from tramontane.layouts import Layout
from tramontane.native_product import NativeProduct
from tramontane_backend_cpu.blas.choose import product
from tramontane_backend_cpu.blas.library import Library

from .device import PROMPTS
from .find import find

log = logging.getLogger(__name__)
SEQUENTIAL, LP64 = 1, 0
"""Of MKL's layers. It is called on the CPU backend's threads, and starts none."""


def products(
    weight: Layout, form: str, *, device: Device, threads: int | None, activations: str
) -> NativeProduct | None:
    """Implements `tramontane.native_product.Products`."""
    library = opened()
    if library is None:
        return None
    return product(library, weight, form, threads, prompts=device.name == PROMPTS)


@cache
def opened() -> Library | None:
    """MKL, loaded and set up; None, with a warning, where it cannot be used."""
    found = find()
    if found is None:
        return None
    library = Library("mkl", found.path, found.version)
    try:
        handle = library.open()
        layers = set_up(handle)
    except (OSError, AttributeError) as error:
        log.warning("MKL is not used, as it cannot be loaded: %s", error)
        return None
    if layers != (SEQUENTIAL, LP64):
        log.warning(
            "MKL is not used: another library of this process has chosen its layers (threads %d, "
            "integers %d), and it would start threads of its own", *layers,
        )  # fmt: skip
        return None
    return library


def set_up(handle: Any) -> tuple[int, int]:
    """Choose MKL's layers before its first call, against what environment variables say; returns
    those that it has. Raises AttributeError for a library that is no MKL."""
    threads = handle.MKL_Set_Threading_Layer(SEQUENTIAL)
    return threads, handle.MKL_Set_Interface_Layer(LP64)
