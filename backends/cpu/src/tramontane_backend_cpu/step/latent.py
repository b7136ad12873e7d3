"""Latent attention in a recorded step: its cache, its scores, and the matrices of its heads.

A head's matrix is a product of its own, of the head's columns of what it reads, into the head's
columns of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from tramontane.blocks import StackedLinear
from tramontane.layouts import Layout

from .graph import CannotRecord, Node, Recorder, Ref, Value


class HeadLinear:
    """One of the matrices of a `StackedLinear`, as a linear layer without a bias."""

    bias = None

    def __init__(self, stack: StackedLinear, head: int) -> None:
        self._stack, self._head = stack, head

    def modules(self) -> Iterator[StackedLinear]:
        """Whose weights it has."""
        yield self._stack

    @property
    def weight(self) -> Layout:
        rows = self._stack.weight.shape[0] // self._stack.count
        found: Layout = self._stack.weight.rows(slice(self._head * rows, (self._head + 1) * rows))
        return found


def note_each_head(
    recording: Recorder, nodes: list[Node], matrices: StackedLinear, x: Tensor
) -> Tensor:
    """Record `LatentAttention.each_head`. nodes: the recording's. Raises CannotRecord."""
    if matrices.bias is not None:
        raise CannotRecord("matrices of heads with a bias")
    heads, n_in = x.shape[1:]
    n_out = matrices.weight.shape[0] // matrices.count
    given = recording.ref(x)
    assert given.value is not None
    value = Value(given.value.domain, heads * n_out)
    for head in range(heads):
        columns = Ref(given.value, given.offset + head * n_in, n_in)
        of = {"module": HeadLinear(matrices, head), "column": head * n_out}
        nodes.append(Node("linear", (columns,), value, of))
    result = torch.empty(len(x), heads, n_out, device="meta")
    return recording.keep(result, Ref(value, 0, value.width))


def note_latent_attention(
    recording: Recorder, asked: Tensor, turned: Tensor, cache: Any, batch: Any, scale: float
) -> Tensor:
    """Record `reference.latent_attention`, but for what it comes after."""
    heads, rank = asked.shape[1:]
    scaled = recording.note("scale", (asked,), (heads, rank), value=scale)
    of = {"layer": cache.index, "d_key": turned.shape[2], "scale": scale}
    return recording.note("attention", (turned, scaled), (heads, rank), **of)
