"""BLAS libraries that are on this machine, for tests, and choices that no clock makes."""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tramontane_backend_cpu.blas.library import Library
from tramontane_backend_cpu.blas.measure import NEVER
from tramontane_backend_cpu.blas.order import cuts_of, equal_from
from tramontane_backend_cpu.blas.panels import panels
from tramontane_backend_cpu.blas.table import Choice
from tramontane_backend_cpu.kernels.blas import PANEL, UNIT


@cache
def openblas() -> Library:
    """OpenBLAS with 64-bit integers, which numpy's wheels bring: its names are those that
    Accelerate's interface has, but for what is around them."""
    found = sorted(Path(np.__file__).parents[1].glob("numpy.libs/libscipy_openblas64_*"))
    if not found:
        pytest.skip("numpy has no OpenBLAS of its own here")
    library = Library("openblas", found[0], "", "scipy_", "64_", wide=True)
    library.open().scipy_openblas_set_num_threads64_(1)
    return library


@cache
def mkl() -> Library:
    """MKL from its wheel."""
    if importlib.util.find_spec("tramontane_backend_mkl") is None:
        pytest.skip("tramontane-backend-mkl is not installed")
    from tramontane_backend_mkl.products import opened

    library = opened()
    if library is None:
        pytest.skip('MKL is not installed: pip install "tramontane-backend-mkl[wheel]"')
    return library


@cache
def torchs_mkl() -> Library:
    """The MKL within torch, which has products of bfloat16 and no cblas_sgemm."""
    path = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    library = Library("torch", path, torch.__version__)
    if not path.exists() or not library.address("bf16"):
        pytest.skip("torch has no MKL here")
    ctypes.CDLL(str(path)).MKL_Set_Num_Threads_Local(1)
    return library


LIBRARIES = {"openblas": openblas, "mkl": mkl}


def without_a_clock(
    library: Library, weight: object, form: str, threads: int, *, prompts: bool
) -> Choice:
    """What `choose.chosen` returns, as if the library were always faster: from its smallest batch
    on whose bits are those of few vectors."""
    assert not prompts
    rows, columns = weight.shape  # type: ignore[attr-defined]
    cuts, least = order_of(library, rows % PANEL, columns)
    return Choice(least if form == "f32" else 0, "", cuts)


@cache
def order_of(library: Library, remainder: int, columns: int) -> tuple[tuple[int, ...], int]:
    cuts = cuts_of(library, columns)
    assert cuts is not None
    least = equal_from(library, panels(torch.randn(PANEL + remainder, columns)), cuts)
    return tuple(cuts), least


__all__ = ["NEVER", "UNIT"]
