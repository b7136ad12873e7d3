"""Rows of a tensor, selected without torch's compiler.

Shapes are checked with meta tensors, for which torch implements indexing, `cat` and sums in Python,
and imports its compiler to run them, which takes half a second; so layouts avoid these. Nor do
they select rows of them by torch, which has that in a part that `system.torch_parts` leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def picked(tensor: Tensor, index: Tensor | slice) -> Tensor:
    """Selected rows of a tensor (rows, ...). index: (n) int64 or a slice -> (n, ...)."""
    if isinstance(index, slice):
        return tensor[index]
    if tensor.is_meta:
        return tensor.new_empty((len(index), *tensor.shape[1:]))
    return tensor.index_select(0, index)


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate tensors (rows_i, ...) along rows."""
    counts = [len(tensor) for tensor in tensors]
    made = tensors[0].new_empty((sum(counts), *tensors[0].shape[1:]))
    for part, tensor in zip(made.split(counts), tensors, strict=True):
        part.copy_(tensor)
    return made
