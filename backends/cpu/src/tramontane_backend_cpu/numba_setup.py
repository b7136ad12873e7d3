"""Numba, configured before it is first imported. Every kernel file takes `njit` from here.

Compiled kernels are kept in Tramontane's cache folder. Where that cannot be written, they go to a
temporary folder, and the next process compiles again.
"""

from __future__ import annotations

import logging
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from tramontane import folders

log = logging.getLogger(__name__)


def _cache_folder() -> str:
    wanted = folders.cache() / "numba"
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            return str(wanted)
    except OSError as error:
        log.warning(
            "cannot keep compiled kernels in %s: %s; using a temporary folder", wanted, error
        )
        return str(Path(tempfile.gettempdir()) / f"tramontane-numba-{os.getpid()}")


# set before the import: numba reads them then
os.environ.setdefault("NUMBA_CACHE_DIR", _cache_folder())

import numba  # noqa: E402
from numba.core import extending  # noqa: E402

# reassociation lets sums be vectorized; their order is fixed when they are compiled
FAST = {"reassoc", "contract", "nsz", "arcp"}
njit: Any = partial(numba.njit, cache=True, nogil=True, fastmath=FAST, error_model="numpy")
parallel: Any = partial(njit, parallel=True)
prange: Any = numba.prange
intrinsic: Any = extending.intrinsic

__all__ = ["FAST", "intrinsic", "njit", "numba", "parallel", "prange"]
