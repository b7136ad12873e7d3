"""Products of a backend that stands on another, as the other's step calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tramontane.backend import Device
    from tramontane.layouts import Layout


@dataclass(frozen=True)
class NativeProduct:
    """Machine code that multiplies vectors with one matrix (rows, columns), for steps that run
    without Python: a C function of nine 64-bit integers

        void (state, thread, count, x, x_stride, first, last, out, out_stride)

    which writes, for each of `count` >= 1 vectors, its products with the matrix's rows first..last
    as float32. x, out: addresses, the latter that of row `first`; x_stride, out_stride: bytes from
    one vector to the next. Several threads call it at a time, for other rows each.
    """

    address: int
    """Of the function."""
    state: int
    """What it is given first, such as the address of what it needs to know."""
    name: str
    """What the load report calls it."""
    form: str = "f32"
    """Type of the vectors' numbers: the `form` that was asked for, or "f32"."""
    panel: int = 256
    """Rows at a time: `first` is a multiple, and `last` the next or the matrix's end."""
    fewest: int = 1
    """Fewer vectors are multiplied by the other backend. More than 1 gives up the promise that a
    vector's bits do not depend on its company, unless both compute the same bits."""
    weight: Any = None
    """What takes the matrix's place in the model, so that its memory can be given back; None: it
    stays. With `fewest` more than 1 it has to stay."""
    kept: Any = None
    """What must live as long."""

    def __post_init__(self) -> None:
        if self.panel < 1 or self.fewest < 1:
            raise ValueError(f"{self.name}: {self.panel=} and {self.fewest=} are at least 1")
        if self.weight is not None and self.fewest > 1:
            raise ValueError(f"{self.name}: with {self.fewest=} the matrix must stay as it is")


class Products(Protocol):
    """A target of a backend that stands on another: its products, where they are faster."""

    def __call__(
        self, weight: Layout, form: str, *, device: Device, threads: int | None, activations: str
    ) -> NativeProduct | None:
        """weight: a plain matrix (rows, columns), contiguous. form: "f32", or "bf16" where the
        other backend would round vectors to it. threads, activations: as of `Prepare`. None: the
        other's own kernel stays."""
        ...
