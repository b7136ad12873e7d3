"""Adapters merged into the weights while these are read: the model then has no trace of them.

    W' = W + sum of weight * B A               of a plain matrix
    W' = W + sum of (s - 1) W + s weight B A   with DoRA, s = m / |rows of W + weight B A|

as `changed_linear` computes it beside the weights. A packed matrix is decoded, changed and
quantized again to what it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from tramontane.blocks import StackedLinear
from tramontane.checkpoint.fill import EMBEDDING, rules_of
from tramontane.checkpoint.weight_map import Slot
from tramontane.errors import AdapterError
from tramontane.layouts import Dense, Layout, below, contiguous
from tramontane.quantizing.choices import types_stored
from tramontane.quantizing.in_place import PART
from tramontane.quantizing.kinds import Kind, installed_kinds, spelled
from tramontane.quantizing.make_layer import make_layout

from .adapter import Adapter, by_expert, together
from .adapter_set import refuse_name, refuse_weight
from .fit import fit_adapter
from .forms import read_adapter
from .stored import Delta

if TYPE_CHECKING:
    from tramontane.checkpoint.build import Built
    from tramontane.checkpoint.load_options import LoadOptions
    from tramontane.registry import Registry

HEAD = "lm_head.weight"
Changes: TypeAlias = "list[tuple[int | None, Delta, float]]"


class Merging:
    """What becomes of the weights of a model with some adapters."""

    def __init__(
        self,
        model: nn.Module,
        wanted: Mapping[str, Slot],
        adapters: Sequence[tuple[Adapter, float]],
        stored: Mapping[str, set[str]],
        kinds: Mapping[str, Kind],
        *,
        exact: bool,
        tied: bool,
    ) -> None:
        """wanted: the model's places. stored: the types of the tensors of each. kinds: that are
        installed. exact: whether dense weights are left in float32, to be converted later. tied:
        whether the model's head is its embedding.

        Raises AdapterError for what cannot be merged.
        """
        self._wanted, self._stored, self._kinds, self._exact = wanted, stored, kinds, exact
        self.names = tuple(adapter.name for adapter, _ in adapters)
        told = (adapter.digest + repr(weight).encode() for adapter, weight in adapters)
        self._digest = b"".join(told)
        self.again: list[str] = []
        """Paths of matrices that were quantized again."""
        self._deltas: dict[str, Changes] = {}
        self._rows: dict[str, tuple[tuple[int, ...], Tensor]] = {}
        self._values: dict[str, Tensor] = {}
        for path, (value, weight) in together(adapters, "values").items():
            if weight != 1:
                raise AdapterError(
                    f"{path} takes the place of the model's own: its adapter's weight is 1, not "
                    f"{weight:g}"
                )
            self._values[path] = value
        for path, (rows, _) in together(adapters, "rows").items():
            self._rows[f"{path}.weight"] = rows
        if tied and EMBEDDING in self._rows:
            self._rows.setdefault(HEAD, self._rows[EMBEDDING])
        self._biases: dict[str, str] = {}
        for adapter, weight in adapters:
            for path, parts in adapter.deltas.items():
                changes = self._deltas.setdefault(f"{path}.weight", [])
                changes.extend((part, delta, weight) for part, delta in parts)
                if any(delta.bias is not None for _, delta in parts):
                    self._refuse_bias(adapter.name, path, model.get_submodule(path), parts)
                    self._biases[f"{path}.bias"] = f"{path}.weight"
        changed = {*self._values, *self._rows, *self._deltas}
        ends = changed & {EMBEDDING, HEAD}
        alike = ends <= self._rows.keys() - self._values.keys() - self._deltas.keys()
        self.unties = (
            tied
            and bool(ends)
            and not (alike and self._rows.get(EMBEDDING) is self._rows.get(HEAD))
        )
        """Whether a head that is the embedding becomes one of its own."""
        if tied and not self.unties:
            changed -= {HEAD}
        self.changed = frozenset({*changed, *self._biases})

    def _refuse_bias(self, name: str, path: str, module: Any, parts: Any) -> None:
        why = ""
        if getattr(module, "bias", None) is None:
            why = "which has none of its own"
        elif any(delta.magnitude is not None for _, delta in parts):
            why = "which has DoRA too"
        if why:
            raise AdapterError(
                f"the adapter {name!r} adds a bias (lora_bias) to {path}, {why}: it cannot be "
                "merged; load it without merging"
            )

    def __contains__(self, path: str) -> bool:
        return path in self.changed

    def change(self, path: str, layout: Layout, *, packed_later: bool = False) -> Layout:
        """The layout of a place with the adapters. packed_later: it is quantized anyway.

        Raises AdapterError for numbers that are not finite, and for a format that nothing writes.
        """
        if path in self._biases:
            return self._dense(layout, self._bias(path, layout))
        weight = self._matrix(path, layout)
        if not weight.isfinite().all():
            raise AdapterError(
                f"merging {', '.join(self.names)}: {path} is not finite with it: its numbers or "
                "weights are too large"
            )
        if packed_later:
            return Dense(weight)
        if isinstance(layout, Dense):
            return self._dense(layout, weight)
        return self._again(path, layout, weight)

    def _dense(self, layout: Layout, data: Tensor) -> Layout:
        if self._exact or not isinstance(layout, Dense):
            return Dense(data)
        kind = layout.data.dtype
        return Dense(data.to(torch.bfloat16 if kind.itemsize == 1 else kind))

    def _matrix(self, path: str, layout: Layout) -> Tensor:
        base = layout.decode(torch.float32).clone()
        own = base
        if path in self._values:
            base = self._values[path].to(torch.float32).clone()
        if path in self._rows:
            indices, rows = self._rows[path]
            base[torch.tensor(indices)] = rows.float()
        changes = self._deltas.get(path, [])
        module = self._wanted[path].module if path in self._wanted else None
        if isinstance(module, StackedLinear):
            each = len(base) // module.count
            for expert, matrices in by_expert(module, changes).items():
                for matrix, factor in matrices:
                    base[expert * each : (expert + 1) * each] += factor * matrix.decode()
            return base
        weight = base.clone() if changes else base
        for _, delta, factor in changes:
            more = factor * delta.matrix.decode()
            if delta.magnitude is not None:
                scale = (delta.magnitude / (own + more).square().sum(1).sqrt())[:, None]
                weight += (scale - 1) * base + scale * more
            else:
                weight += more
        return weight

    def _bias(self, path: str, layout: Layout) -> Tensor:
        bias = layout.decode(torch.float32).clone()
        if path in self._values:
            bias = self._values[path].float().clone()
        for _, delta, factor in self._deltas[self._biases[path]]:
            if delta.bias is not None:
                bias += factor * delta.bias
        return bias

    def _again(self, path: str, layout: Layout, weight: Tensor) -> Layout:
        """Quantized to the kind that it had."""
        stored = self._stored.get(path) or self._stored.get(EMBEDDING, set())
        for kind in self._kinds.values():
            if not stored & {kind.offer.name} and {spelled(kind.name)} != set(map(spelled, stored)):
                continue
            try:
                made = _quantized(kind, weight[: kind.offer.row_block or None])
                if not _alike(made, layout):
                    continue
                made = contiguous(self._remade(path, layout, weight, kind))
            except ValueError:
                continue
            self.again.append(path)
            return made
        raise AdapterError(
            f"merging {', '.join(self.names)}: {path} is stored as {', '.join(sorted(stored))} "
            f"({layout.kind}), which nothing installed writes: quantize to another kind, such as "
            "--isq 4, or load the adapter without merging"
        )

    def _remade(self, path: str, layout: Layout, weight: Tensor, kind: Kind) -> Layout:
        """All of a matrix, or of stacked ones those that are changed."""
        module = self._wanted[path].module if path in self._wanted else None
        if not isinstance(module, StackedLinear):
            return _quantized(kind, weight)
        touched = by_expert(module, self._deltas.get(path, []))
        each = len(weight) // module.count
        parts = []
        for expert in range(module.count):
            rows = slice(expert * each, (expert + 1) * each)
            parts.append(_quantized(kind, weight[rows]) if expert in touched else layout.rows(rows))
        return below(parts)

    def lines(self) -> list[str]:
        """For people: what was done."""
        said = f"merged {', '.join(self.names)}: {len(self.changed)} tensors changed"
        if self.again:
            layers = "layer was" if len(self.again) == 1 else "layers were"
            said += f", of which {len(self.again)} packed {layers} quantized again"
        if self.unties:
            said += "; the output matrix is no longer the embedding"
        return [said]

    def marked(self, sample: Tensor) -> Tensor:
        """What the model is known by: another one than without these adapters."""
        digest = hashlib.blake2b(self._digest, digest_size=32).digest()
        return torch.cat((sample.flatten().float(), torch.tensor(list(digest)).float()))

    @property
    def more_bytes(self) -> int:
        """What a head of its own takes, at most."""
        return 4 * prod(self._wanted[EMBEDDING].shape) if self.unties else 0


def merging_of(options: LoadOptions, registry: Registry, built: Built) -> Merging | None:
    """What the options ask for; None: nothing. Raises AdapterError, CheckpointError."""
    if not options.merge:
        return None
    rules_for = partial(rules_of, built.architecture, built.config)
    adapters = []
    for name, (path, weight) in options.merge.items():
        refuse_name(name)
        refuse_weight(name, weight)
        stored = read_adapter(path, registry)
        rules = rules_for(stored.dialect)
        fitted = fit_adapter(stored, built.model, rules, name=name, source=str(path))
        adapters.append((fitted, float(weight)))
    return Merging(
        built.model, built.wanted, adapters,
        types_stored(built.checkpoint.header, built.sources), installed_kinds(registry),
        exact=options.dtype != "auto",
        tied=HEAD not in built.wanted and built.config.tie_word_embeddings,
    )  # fmt: skip


def _quantized(kind: Kind, weight: Tensor) -> Layout:
    block, (rows, columns) = kind.offer.row_block, weight.shape
    step = max(PART // columns // block, 1) * block if block else rows
    made = [make_layout(kind, weight[at : at + step]) for at in range(0, rows, step)]
    return below(made) if len(made) > 1 else made[0]


def _alike(made: Layout, before: Layout) -> bool:
    """Whether a layout is of the kind of another, with the same table."""
    tables = [each.tensors().get("table") for each in (made, before)]
    if made.kind != before.kind or (tables[0] is None) != (tables[1] is None):
        return False
    return tables[0] is None or tables[0].numpy().tobytes() == tables[1].numpy().tobytes()  # type: ignore[union-attr]
