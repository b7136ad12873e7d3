"""What a form of adapter files is read to, before it is fitted to a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tramontane.layouts.low_rank import LowRank


@dataclass(frozen=True)
class Delta:
    """What is added to a matrix. matrix: with the scale in it, in the checkpoint's shape of the
    weight. bias: (rows), added to the products. magnitude: (rows), the norms that the changed rows
    are given (DoRA; Liu et al. 2024)."""

    matrix: LowRank
    bias: Tensor | None = None
    magnitude: Tensor | None = None

    def to(self, device: torch.device) -> Delta:
        """The same on a device."""
        bias, magnitude = (
            None if each is None else each.to(device) for each in (self.bias, self.magnitude)
        )
        return Delta(self.matrix.to(device), bias, magnitude)


@dataclass(frozen=True)
class StoredAdapter:
    """An adapter as its files have it, by the tensors' names of the checkpoint that it is for,
    "model.layers.0.self_attn.q_proj.weight".

    deltas: of matrices. values: tensors that take the place of the model's. rows: rows that take
    the place of a table's: their numbers, and (rows, columns). dialect: of the names, as a
    checkpoint's, and `names`: paths of the model's modules by the container's, as there. base:
    which model it is for, as far as it says.
    """

    deltas: Mapping[str, Delta]
    values: Mapping[str, Tensor] = field(default_factory=dict)
    rows: Mapping[str, tuple[tuple[int, ...], Tensor]] = field(default_factory=dict)
    dialect: str = "hf"
    names: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
