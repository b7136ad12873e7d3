"""Numba, configured before it is first used. Every kernel file takes `njit` from here.

Compiled kernels are kept in Tramontane's cache folder, under a name made of our sources and of the
instruction set: numba looks at the file that a kernel is in, and not at those it takes its parts
from. Where the folder cannot be written, they go to a temporary one, and the next process compiles
again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numba
from numba.core import extending
from tramontane import folders

from .vector.chosen import SET

log = logging.getLogger(__name__)
progress = logging.getLogger("tramontane.progress")
_COMPILED: list[str] = []


def _cache_folder() -> str:
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    base = os.environ.get("NUMBA_CACHE_DIR") or folders.cache() / "numba"
    wanted = Path(base) / f"{key}-{SET.name}"
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            return str(wanted)
    except OSError as error:
        log.warning(
            "cannot keep compiled kernels in %s: %s; using a temporary folder", wanted, error
        )
        return str(Path(tempfile.gettempdir()) / f"tramontane-numba-{os.getpid()}")


numba.config.CACHE_DIR = _cache_folder()

# no fastmath: the order of sums is the kernels' own, and the same in all their variants
njit: Any = partial(numba.njit, cache=True, nogil=True, error_model="numpy")
intrinsic: Any = extending.intrinsic


def native(arguments: int) -> Any:
    """Compile to a function of so many 64-bit integers that can be called by its address."""
    signature = numba.types.void(*[numba.types.int64] * arguments)
    made = numba.cfunc(signature, cache=True, nopython=True, error_model="numpy")

    def compiled(function: Callable[..., None]) -> Any:
        kernel = made(function)
        if kernel.cache_hits == 0:
            _COMPILED.append(kernel.native_name)
            progress.info("compiling kernels for this machine, once (%d)", len(_COMPILED))
        return kernel

    return compiled


__all__ = ["intrinsic", "native", "njit", "numba"]
