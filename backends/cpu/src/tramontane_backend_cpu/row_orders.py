"""Rows of an expert's first two matrices in the order in which its third one reads them.

    down[:, order] (act(gate x) * up x) = down (act(gate[order] x) * up[order] x)

So what is between the matrices is in its place as it is computed, and the third matrix's order of
columns costs nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tramontane.blocks import Experts, StackedLinear
from tramontane.layouts import Affine, Codebook, Layout, Permuted

from .packing import Interleaved, can_pack
from .vector.tiles import ROWS


def biases_of(stack: StackedLinear) -> Any:
    """What is added to results, (count, rows) float32 in the order in which rows are stored; None
    for nothing."""
    if stack.bias is None:
        return None
    biases: Any = stack.bias.detach().float().unflatten(0, (stack.count, -1)).numpy()
    weight = stack.weight
    if isinstance(weight, Interleaved) and (order := weight.packed.row_orders) is not None:
        biases = np.take_along_axis(biases, np.broadcast_to(order, biases.shape), 1)
    return np.ascontiguousarray(biases)


def put_in_order(experts: Experts) -> dict[StackedLinear, Any]:
    """Order the rows of the first two matrices, if all three are still to be packed; returns these
    two with their `row_orders`."""
    down, count = experts.down_proj.weight, experts.count
    first = experts.first
    wide = down.shape[1]
    if not isinstance(down, Permuted) or wide % ROWS or down.shape[0] // count % ROWS:
        return {}
    if not all(_is_packable(each.weight, count) for each in experts.matrices):
        return {}
    orders = down.order.long()
    index = (torch.arange(count)[:, None] * wide + orders.expand(count, wide)).flatten()
    for stack in first:
        weight: Any = stack.weight
        if isinstance(weight, Permuted):
            stack.weight = Permuted(weight.layout.rows(index), weight.order)
        else:
            stack.weight = weight.rows(index)
    each = np.ascontiguousarray(down.order.numpy())
    return dict.fromkeys(first, np.broadcast_to(each, (count, wide)))


def _is_packable(weight: Layout, count: int) -> bool:
    return isinstance(weight, (Affine, Codebook, Permuted)) and can_pack(weight, count)


def orders_of(weight: Layout) -> Any:
    """In which orders packed matrices read the numbers of vectors: (parts, columns), or None."""
    return weight.packed.orders if isinstance(weight, Interleaved) else None


def is_alike(first: Any, *others: Any) -> bool:
    """Whether all of these are the same."""
    if first is None or any(other is None for other in others):
        return first is None and all(other is None for other in others)
    return all(np.array_equal(first, other) for other in others)


def is_in_order(experts: Experts) -> bool:
    """Whether the first two read in the same orders, and the third as they write."""
    first, down = [part.weight for part in experts.first], experts.down_proj.weight
    if not is_alike(*(orders_of(weight) for weight in first)):
        return False
    return orders_of(down) is None or (
        isinstance(first[0], Interleaved) and first[0].packed.row_orders is not None
    )
