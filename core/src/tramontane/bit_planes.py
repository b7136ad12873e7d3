"""How codes of so many bits are parted into planes; known where torch is not imported."""

from __future__ import annotations

PLANES: dict[int, tuple[int, ...]] = {
    2: (2,), 3: (2, 1), 4: (4,), 5: (4, 1), 6: (4, 2), 8: (8,),
}  # fmt: skip
"""Widths of the bit planes that hold codes of so many bits, low bits first."""
