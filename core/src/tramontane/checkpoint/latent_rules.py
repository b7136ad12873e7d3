"""Rules for `LatentAttention`: rotated rows in halves, keys' matrices and values' apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tramontane.layouts import Dense, Layout

from .rules import Kept, in_halves, owner, sibling


@dataclass(frozen=True)
class TurnedRows(Kept):
    """Puts the last rows of each head, rotated by adjacent pairs, into halves: of queries,
    and of the one key that all heads share (kv_a_proj_with_mqa)."""

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        attention: Any = owner(model, path)
        shared = path.endswith("kv_a_proj_with_mqa")
        d_head = layout.shape[0] if shared else int(attention.d_head)
        still = d_head - int(attention.turned)
        order = torch.cat((torch.arange(still), still + in_halves(attention.turned)))
        heads = torch.arange(layout.shape[0] // d_head)[:, None] * d_head
        return layout.rows((heads + order).flatten())


@dataclass(frozen=True)
class KeysAndValues(Kept):
    """Cuts kv_b_proj, which makes keys and values of latents, of each head first the one and then
    the other. Keys' matrices are applied to queries instead, and so stand the other way round.

    Raises ValueError for another number of rows.
    """

    pattern: str = "*.kv_b_proj"

    def paths(self, path: str) -> tuple[str, ...]:
        return sibling(path, "k_b_proj"), sibling(path, "v_b_proj")

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        attention: Any = owner(model, path)
        nope, both = attention.nope, attention.nope + attention.v_dim
        heads = torch.arange(attention.heads)[:, None] * both
        if layout.shape[0] != attention.heads * both:
            raise ValueError(f"{attention.heads} heads of {both} rows are wanted")
        if path.endswith("v_b_proj"):
            return layout.rows((heads + torch.arange(nope, both)).flatten())
        rows = layout.rows((heads + torch.arange(nope)).flatten())
        plain = rows.data if isinstance(rows, Dense) else rows.decode()
        return Dense(plain.unflatten(0, (-1, nope)).mT.flatten(0, 1))

    def backwards(
        self, shapes: dict[str, tuple[int, ...]], model: nn.Module
    ) -> dict[str, tuple[int, ...]]:
        """The tensors before, for the conformance kit."""
        before: dict[str, tuple[int, ...]] = {}
        for name, shape in shapes.items():
            if name.endswith("v_b_proj.weight"):
                attention: Any = owner(model, name.removesuffix(".weight"))
                rows = attention.heads * (attention.nope + attention.v_dim)
                before[name.replace("v_b_proj", "kv_b_proj")] = (rows, shape[1])
            elif not name.endswith("k_b_proj.weight"):
                before[name] = shape
        return before
