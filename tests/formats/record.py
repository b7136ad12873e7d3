"""What a format is to these tests: ways to write one model in it, and what its weights are then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Source:
    """A tiny model. config: transformers' own. tensors: as it saves them, an expert at a time."""

    family: str
    config: Any
    tensors: Tensors


@dataclass(frozen=True)
class Matrix:
    """A matrix in a format. parts: tensors by their names below the layer. numbers: its weights,
    (rows, columns) float32, as the format's own library decodes them. exact: the same before they
    are rounded to 16 bits, if they are, which kernels never do."""

    parts: Tensors
    numbers: Tensor
    exact: Tensor | None = None


@dataclass(frozen=True)
class Written:
    """A model in a file. numbers, exact: all its tensors, by the names of the source."""

    path: Path
    numbers: Tensors
    exact: Tensors


Write = Callable[[Source, Path], Written]
"""Writes a model into an empty folder."""


@dataclass(frozen=True)
class Variant:
    """One way to write. row: the line of the table that it counts in. only: families that there
    are such files of; none: all. eager: what the CPU says, in part, of mixtures for which it has no
    recorded step."""

    row: str
    name: str
    write: Write
    only: tuple[str, ...] = ()
    eager: str = ""


@dataclass(frozen=True)
class Format:
    """about: what its files are, and which switches the variants have. held: what their weights are
    held against. sizes: what its models need to be different. lacks: why there are no such files of
    a family, in two or three words. tolerance: below which differences must be."""

    about: str
    held: str
    variants: tuple[Variant, ...]
    sizes: Mapping[str, Any] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 1e-4

    def rows(self) -> dict[str, list[Variant]]:
        """The variants by their lines of the table."""
        found: dict[str, list[Variant]] = {}
        for variant in self.variants:
            found.setdefault(variant.row, []).append(variant)
        return found

    def has(self, variant: Variant, family: str) -> bool:
        """Whether there are such files of the family."""
        return family not in self.lacks and (not variant.only or family in variant.only)
