"""Which weights a scale belongs to, by the strategy of a scheme and the shape of the scales."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts.block_scales import BlockScales

from .scheme import Scheme


def lying(
    scheme: Scheme, rows: int, columns: int, scales: Sequence[int]
) -> tuple[BlockScales, tuple[int, int]] | None:
    """How scales of a shape lie over a matrix, and the shape (block rows, block columns) to view
    them in; None if they are not as many as the strategy has."""
    if scheme.strategy == "tensor":
        found, grid = BlockScales(rows, columns, rows, columns), (1, 1)
    elif scheme.strategy == "channel":
        found, grid = BlockScales(rows, columns, 1, columns), (rows, 1)
    elif scheme.block is not None:
        high, wide = scheme.block
        found = BlockScales(rows, columns, min(high, rows), min(wide, columns))
        grid = (-(-rows // high), -(-columns // wide))
    else:
        if columns % scheme.group:
            return None
        found = BlockScales(rows, columns, 1, scheme.group)
        grid = (rows, columns // scheme.group)
    return (found, grid) if prod(scales) == prod(grid) else None


def placed(
    scheme: Scheme, rows: int, columns: int, scale: Tensor, path: str
) -> tuple[BlockScales, tuple[int, int]]:
    """The same. Raises CheckpointError."""
    if not scale.is_floating_point():
        raise CheckpointError(f"{path}: its scales are {said(scale)}, not floats")
    found = lying(scheme, rows, columns, scale.shape)
    if found is None:
        size = f" of {scheme.group} columns" if scheme.group else ""
        raise CheckpointError(
            f"{path}: scales of {tuple(scale.shape)} do not belong to weights of "
            f"({rows}, {columns}) with strategy {scheme.strategy!r}{size}"
        )
    return found


def said(tensor: Tensor) -> str:
    """A tensor's type and shape, for messages."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
