"""What a form of adapter files is read to, before it is fitted to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tramontane.layouts.low_rank import LowRank

if TYPE_CHECKING:
    from .classifier import Classifier


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


@dataclass(frozen=True)
class MixtureOptions:
    """What a user says about a mixture beside its files. order: the ordering file, see
    `StoredMixture.layers`. frozen_after: tokens of an answer from which on the last one's shares
    are kept for all further ones (`tgt_non_granular_index`); None: each token has its own."""

    order: Path | None = None
    frozen_after: int | None = None


@dataclass(frozen=True)
class StoredMixture:
    """Adapters of which a classifier says how much each counts, for each token and layer: X-LoRA
    (Buehler and Buehler 2024).

    adapters: by their names, in the classifier's order. layers: numbers of the classifier's layers,
    by the names of weights; None: the weights that adapters change are counted as the model has
    them, but for what `declared` has of its architecture: the beginnings of names in a layer, in
    the order that they are counted in; none: nothing is known. pass_value: what each adapter counts
    in the pass whose last hidden states the classifier reads. weight: what each share is multiplied
    with.
    """

    adapters: Mapping[str, StoredAdapter]
    classifier: Classifier
    layers: Mapping[str, int] | None = None
    declared: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pass_value: float = 0.0
    weight: float = 1.0
