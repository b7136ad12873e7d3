"""What the files of a model take in memory, before one is chosen.

Of files on this disk headers say it. Those on a hub are not read for it: how much larger the
matrices of a kind are in memory than in a file is known from the names of its files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from tramontane.checkpoint.build import Built, build_for
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import TramontaneError
from tramontane.plugin import Quantizer
from tramontane.quantizing.asked import planned
from tramontane.quantizing.choices import Asked, choose, types_stored
from tramontane.quantizing.choose_kind import kernels_of
from tramontane.quantizing.kinds import installed_kinds
from tramontane.registry import Registry


@dataclass(frozen=True)
class FileSize:
    """Bytes of a single-file model, with all of its parts: stored in the file, held in memory."""

    stored: int
    held: int


def kind_pattern(kind: str) -> re.Pattern[str]:
    """Finds a kind in a file's name in lower case: q4_k is not in model-q4_k_m."""
    return re.compile(rf"(?<![a-z0-9]){re.escape(kind.lower())}(?!_?[a-z0-9])")


def stem(file: str) -> str:
    """A file's name in lower case, without its ending and the number of its part."""
    return re.sub(r"-\d{5}-of-\d{5}$", "", file.rpartition(".")[0].lower())


def sizes_of(
    single: Mapping[str, int], folder: Path | None, registry: Registry
) -> dict[str, FileSize]:
    """single: bytes in the file. folder: where they are; None: on a hub, where what is held is an
    upper bound, by the file's name."""
    found = {}
    for file, size in single.items():
        built = None if folder is None else built_of(folder / file, registry)
        held = ceil(size * growth_of(file, registry)) if built is None else held_by(built)
        found[file] = FileSize(size, held)
    return found


def growth_of(file: str, registry: Registry) -> float:
    """How many times the bytes of a file its matrices take in memory, by its name."""
    name = stem(file)
    tables = (offer.file_growth for offer in registry.all(Quantizer))
    factors = (
        factor for table in tables for kind, factor in table.items()
        if kind_pattern(kind).search(name)
    )  # fmt: skip
    return max(factors, default=1.0)


def built_of(path: Path, registry: Registry) -> Built | None:
    """A model on this disk, of which only headers are read; None for one that cannot be loaded,
    which is told when that is tried."""
    try:
        checkpoint = open_checkpoint(path, registry)
        try:
            return build_for(checkpoint, registry)
        finally:
            checkpoint.close()
    except TramontaneError:
        return None


def held_by(built: Built, bits: int | None = None, registry: Registry | None = None) -> int:
    """Bytes of the weights in memory; with `bits` and a registry, quantized while loading. Raises
    PluginNotInstalled where nothing quantizes to so many."""
    header = built.checkpoint.header
    if bits is not None and registry is not None:
        stored, kinds = types_stored(header, built.sources), installed_kinds(registry)
        choices = choose(
            Asked(bits), built.wanted, stored, built.model, kinds, kernels_of(None)
        )  # fmt: skip
        header = planned(built, choices)
    return sum(info.held for info in header.tensors.values())
