"""A library's products with a matrix, as `NativeProduct`s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tramontane.layouts import Dense
from tramontane.native_product import NativeProduct

from tramontane_backend_cpu.kernels import blas
from tramontane_backend_cpu.kernels.blas import PANEL
from tramontane_backend_cpu.packing import KINDS
from tramontane_backend_cpu.step.memory import address
from tramontane_backend_cpu.step.products import arguments

from .library import Library
from .panels import Panels
from .scratch import floats_for


@dataclass(frozen=True)
class Product:
    """A product, and its kernel for calls from Python."""

    native: NativeProduct
    kernel: Any


def followed_product(
    library: Library,
    weight: Panels,
    cuts: Sequence[int],
    library_from: int,
    threads: int = 1,
    name: str = "",
) -> Product:
    """Few vectors in the library's order, `library_from` and more by the library. cuts: see
    `order.py`."""
    kind, columns = KINDS[weight.data.dtype], weight.shape[1]
    cut = np.array(cuts, np.int64)
    scratch, each = floats_for(0 if kind == "f32" else PANEL * columns, threads)
    state = arguments(
        blas.FOLLOWED_FIELDS, panels=weight.data.data_ptr(), columns=columns, cuts=address(cut),
        segments=len(cuts) - 1, gemm=library.address("f32"), library_from=library_from,
        scratch=0 if scratch is None else address(scratch), scratch_bytes=each,
    )  # fmt: skip
    kernel = blas.followed(kind, library.wide)
    native = NativeProduct(
        address=kernel.address, state=address(state), name=name, panel=PANEL, weight=weight,
        kept=(state, cut, scratch, library.open()),
    )  # fmt: skip
    return Product(native, kernel)


def direct_product(
    library: Library, weight: Dense, form: str, fewest: int, threads: int = 1, name: str = ""
) -> Product:
    """`fewest` vectors and more by the library, in whatever order; the matrix stays as it is."""
    kind, columns = KINDS[weight.data.dtype], weight.shape[1]
    widens = form == "f32" and kind != "f32"
    scratch, each = floats_for(PANEL * columns if widens else 0, threads)
    state = arguments(
        blas.DIRECT_FIELDS, weight=weight.data.data_ptr(), columns=columns,
        gemm=library.address(form), x_bytes=2 if form == "bf16" else 4,
        scratch=0 if scratch is None else address(scratch), scratch_bytes=each,
    )  # fmt: skip
    kernel = blas.direct(kind, library.wide, widens)
    native = NativeProduct(
        address=kernel.address, state=address(state), name=name, form=form, panel=PANEL,
        fewest=fewest, kept=(state, scratch, library.open()),
    )  # fmt: skip
    return Product(native, kernel)
