"""Accelerate's products for the CPU backend's steps."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path
from typing import Any

from tramontane.backend import Device
from tramontane.layouts import Layout
from tramontane.native_product import NativeProduct
from tramontane_backend_cpu.blas.choose import product
from tramontane_backend_cpu.blas.library import Library

from .device import PROMPTS
from .find import FRAMEWORK, SUFFIX, can_run, here

log = logging.getLogger(__name__)
SINGLE = 1
"""BLAS_THREADING_SINGLE_THREADED: it is called on the CPU backend's threads, and starts none."""


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
    """Accelerate, loaded and set up; None, with a warning, where it cannot be used."""
    machine = here()
    if not can_run(machine):
        return None
    library = framework(FRAMEWORK, machine.version)
    try:
        set_up(library.open())
    except OSError as error:
        log.warning("Accelerate is not used, as it cannot be loaded: %s", error)
        return None
    return library


def framework(path: Path, version: str, prefix: str = "", suffix: str = SUFFIX) -> Library:
    """Accelerate, or in a test another library with 64-bit integers in its place."""
    return Library("accelerate", path, version, prefix, suffix, wide=True)


def set_up(handle: Any) -> None:
    """One thread for each call: by its function since macOS 15, before by the environment."""
    os.environ.setdefault("VECLIB_MAXIMUM_THREADS", "1")
    choose = getattr(handle, "BLASSetThreading", None)
    if choose is not None:
        choose(SINGLE)
