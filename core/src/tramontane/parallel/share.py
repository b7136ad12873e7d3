"""One rank's share of a model: which of its parameters it has, and which parts every rank has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

from tramontane.blocks import CausalLM
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.checkpoint.weight_map import Source, slots

from .cut import Cut


@dataclass(frozen=True)
class Share:
    """What one rank has of a model that is already cut. whole: the model as it was, for shapes.
    cuts: of parameters by their paths; the others are whole on every rank."""

    rank: int
    size: int
    whole: CausalLM
    cuts: Mapping[str, Cut]
    split: Mapping[str, int]
    """How many blocks of each class are cut."""
    repeated: tuple[str, ...]
    """Paths of blocks with matrices that every rank computes as a whole."""

    def header(self, header: Header, sources: Mapping[str, Source]) -> Header:
        """With the sizes that tensors have here, for the memory plan."""
        kept: dict[str, list[float]] = {}
        whole = slots(self.whole)
        for path, source in sources.items():
            part = self._part(path, whole[path].shape)
            for tensor in source.tensors:
                kept.setdefault(tensor, []).append(part)
        tensors = dict(header.tensors)
        for tensor, parts in kept.items():
            tensors[tensor] = _scaled(tensors[tensor], sum(parts) / len(parts))
        return replace(header, tensors=tensors)

    def _part(self, path: str, whole: tuple[int, ...]) -> float:
        """How much of a parameter, which had this shape."""
        cut = self.cuts.get(path)
        if cut is None:
            return 1.0
        rows = whole[0] if cut.rows is None else cut.count * sum(map(len, cut.rows))
        columns = prod(whole[1:]) if cut.columns is None else len(cut.columns)
        return rows * columns / max(1, prod(whole))

    def lines(self) -> list[str]:
        """For people: what is shared, and what is not."""
        made = ", ".join(f"{count} x {name}" for name, count in self.split.items()) or "nothing"
        found = [f"rank {self.rank} of {self.size}: shared by the ranks: {made}"]
        if self.repeated:
            more = f" and {len(self.repeated) - 3} more" if len(self.repeated) > 3 else ""
            names = ", ".join(self.repeated[:3])
            found.append(f"  on every rank as a whole: {names}{more}")
        return found


def _scaled(info: TensorInfo, part: float) -> TensorInfo:
    held = None if info.in_memory is None else math.ceil(info.in_memory * part)
    return replace(info, nbytes=math.ceil(info.nbytes * part), in_memory=held)
