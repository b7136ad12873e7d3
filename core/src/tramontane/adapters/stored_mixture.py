"""What a form of several adapters with a classifier is read to, before it is fitted to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .classifier import Classifier
from .stored import StoredAdapter


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
