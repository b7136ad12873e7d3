"""How a checkpoint's tensors become a model's, where path alone does not say it.

A rule's pattern is a glob over tensor paths without their last part: "*.q_proj" covers
"model.layers.0.self_attn.q_proj.weight" and its bias. The first rule that fits a tensor counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

import torch
from torch import nn

from tramontane.layouts import Layout


class Rule(Protocol):
    """One exception to "tensor path equals attribute path"."""

    pattern: str

    def path(self, stem: str) -> str | None:
        """The module path for a tensor's; None: the tensor is not used."""
        ...

    def change(self, layout: Layout, owner: nn.Module) -> Layout:
        """The tensor as the model wants it. owner: the module that holds the linear layer."""
        ...


@dataclass(frozen=True)
class Skip:
    """Tensors that the model computes itself."""

    pattern: str

    def path(self, stem: str) -> str | None:
        return None

    def change(self, layout: Layout, owner: nn.Module) -> Layout:
        return layout


@dataclass(frozen=True)
class Rename:
    """Another name for the same thing; both patterns have one `*`."""

    pattern: str
    to: str

    def path(self, stem: str) -> str | None:
        before, after = self.pattern.split("*")
        return self.to.replace("*", stem[len(before) : len(stem) - len(after)])

    def change(self, layout: Layout, owner: nn.Module) -> Layout:
        return layout


@dataclass(frozen=True)
class Deinterleave:
    """Rows of each head stored as pairs (0, d/2, 1, d/2 + 1, ...), put back into halves.

    llama.cpp's converter stores q and k so for models that rotate adjacent pairs. Quantization
    never spans rows, so rows of packed weights move as they are.
    """

    pattern: str

    def path(self, stem: str) -> str | None:
        return stem

    def change(self, layout: Layout, owner: nn.Module) -> Layout:
        d_head = int(owner.d_head)  # type: ignore[arg-type]
        rows = torch.arange(layout.shape[0])
        return layout.rows(rows.view(-1, d_head // 2, 2).transpose(1, 2).flatten())


def rule_for(stem: str, rules: list[Rule]) -> Rule | None:
    """The first rule whose pattern fits."""
    return next((rule for rule in rules if fnmatchcase(stem, rule.pattern)), None)
