"""The tensor types of ggml: number, name, and how many bytes a block of weights takes.

Source: ggml's `ggml_type` and its block definitions.
"""

from __future__ import annotations

from typing import NamedTuple

from .formats.table import FORMATS


class Stored(NamedTuple):
    """A tensor type. block: weights per block; nbytes: bytes per block."""

    name: str
    block: int
    nbytes: int


STORED: dict[int, Stored] = {
    0: Stored("F32", 1, 4),
    1: Stored("F16", 1, 2),
    30: Stored("BF16", 1, 2),
    **{kind: Stored(*row[:3]) for kind, row in FORMATS.items()},
    24: Stored("I8", 1, 1),
    25: Stored("I16", 1, 2),
    26: Stored("I32", 1, 4),
    27: Stored("I64", 1, 8),
    28: Stored("F64", 1, 8),
}
"""The types whose tensors a file may hold and still be opened."""

REFUSED: dict[int, str] = {
    4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 36: "IQ4_NL_4_4",
    37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8",
}  # fmt: skip
"""Types that there once were, so that a refusal can name them."""
