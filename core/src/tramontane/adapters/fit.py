"""Fitting a stored adapter to a model: by the same rules as the checkpoint's weights."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, cast

from torch import Tensor, nn

from tramontane.blocks import Embedding, Linear, StackedLinear
from tramontane.checkpoint.rules import Rule, Step, follow
from tramontane.checkpoint.weight_map import Slot, module_path, parted, slots
from tramontane.errors import AdapterError
from tramontane.layouts import Dense, Layout
from tramontane.layouts.low_rank import LowRank
from tramontane.sanitize import one_line

from .adapter import Adapter
from .stored import Delta, StoredAdapter

LAYER = re.compile(r"\.(\d+)\.")
"""The number of a layer, the first in a tensor's name."""
LARGEST = 1e6
"""Of what is added to a matrix, or takes its place: sums of larger numbers overflow in norms."""


def fit_adapter(
    stored: StoredAdapter,
    model: nn.Module,
    rules: Sequence[Rule],
    *,
    name: str,
    source: str,
) -> Adapter:
    """rules: of the architecture, for the adapter's dialect.

    Raises AdapterError for what the model does not have, or has in another shape.
    """
    return Fit(model, rules, stored.names, source).of(stored, name)


class Fit:
    """Fits stored adapters of one dialect; arguments as of `fit_adapter`."""

    def __init__(
        self, model: nn.Module, rules: Sequence[Rule], names: Mapping[str, str], source: str
    ) -> None:
        self._model, self._rules, self._names, self._source = model, rules, names, source
        self._slots = {path: slot for path, slot in _places(model).items()}
        self._shared = _shared(model)

    def of(self, stored: StoredAdapter, name: str) -> Adapter:
        """Raises AdapterError."""
        deltas: dict[str, list[tuple[int | None, Delta]]] = {}
        for tensor, delta in stored.deltas.items():
            for place, steps in self.ends(tensor):
                fitted = self._delta(tensor, delta, place, steps)
                module = place.rpartition(".")[0]
                deltas.setdefault(module, []).append(fitted)
        values = {
            place: self._value(tensor, value, place, steps)
            for tensor, value in stored.values.items()
            for place, steps in self.ends(tensor)
        }
        rows = {}
        for tensor, (indices, value) in stored.rows.items():
            for place, _ in self.ends(tensor):
                rows[place.rpartition(".")[0]] = self._rows(tensor, indices, value, place)
        head = getattr(self._model, "lm_head", None)
        if "model.embed_tokens" in rows and self._tied(head):
            rows["lm_head"] = rows["model.embed_tokens"]
        fixed = {module: tuple(parts) for module, parts in deltas.items()}
        return Adapter(name, self._source, fixed, values, rows)

    def _tied(self, head: Any) -> bool:
        table = self._model.get_submodule("model.embed_tokens")
        return head is not None and head.weight is table.weight

    def ends(self, tensor: str) -> list[tuple[str, list[Step]]]:
        """The model's places that a tensor of a checkpoint goes to. Raises AdapterError."""
        for name in (tensor, tensor.removesuffix(".weight")):
            stem, last = parted(name)
            found = [
                (place, steps)
                for path, end, steps in follow(module_path(stem, self._names), last, self._rules)
                if (place := f"{path}.{end}" if path and end else path or end) in self._slots
            ]
            if found:
                for place, _ in found:
                    self._check_layer(tensor, place)
                return found
        block = tensor.removesuffix(".weight").rpartition(".")[0]
        for path, paths in self._shared.items():
            if path.startswith(f"{block}."):
                self._refuse_layer(tensor, f"layers share it ({', '.join(paths)})")
        raise AdapterError(
            f"{self._source}: the model has no {one_line(tensor, 120)}: the adapter is for another"
        )

    def _check_layer(self, tensor: str, place: str) -> None:
        """An adapter changes the layer that it names alone. Raises AdapterError where layers share
        what it changes, or the checkpoint has a layer's matrix at another one."""
        ours, theirs = (LAYER.search(name) for name in (place, tensor))
        if paths := self._shared.get(place.removesuffix(".weight")):
            self._refuse_layer(tensor, f"layers share it ({', '.join(paths)})")
        if ours and theirs and ours[1] != theirs[1]:
            self._refuse_layer(tensor, f"it belongs to layer {ours[1]}")

    def _refuse_layer(self, tensor: str, why: str) -> NoReturn:
        raise AdapterError(
            f"{self._source}: {one_line(tensor, 120)} cannot be changed for one layer alone: "
            f"{why}; leave it out of target_modules"
        )

    def _changed(self, tensor: str, layout: Any, steps: Sequence[Step]) -> Any:
        try:
            for step in steps:
                layout = step.rule.change(cast("Layout", layout), step.path, self._model)
        except (ValueError, AttributeError, TypeError, RuntimeError, IndexError) as error:
            raise AdapterError(
                f"{self._source}: {one_line(tensor, 120)}, {tuple(layout.shape)}, does not fit the "
                f"model, or an adapter of it is not supported: {one_line(str(error), 120)}"
            ) from error
        return layout

    def _delta(
        self, tensor: str, delta: Delta, place: str, steps: Sequence[Step]
    ) -> tuple[int | None, Delta]:
        slot, matrix = self._slots[place], delta.matrix
        if _transposed(steps):  # the checkpoint stores it so, an adapter never does
            matrix = matrix.turned()
        fitted = self._changed(tensor, matrix, steps)
        if not isinstance(fitted, LowRank):
            raise AdapterError(
                f"{self._source}: {one_line(tensor, 120)} is kept in another form by this model, "
                "of which an adapter is not supported: leave it out of target_modules"
            )
        module, part = slot.module, None
        wanted = slot.shape
        if isinstance(module, StackedLinear) and fitted.shape[0] != wanted[0]:
            part = next((int(p) for p in reversed(tensor.split(".")) if p.isdigit()), -1)
            wanted = (wanted[0] // module.count, wanted[1])
            if not 0 <= part < module.count:
                raise AdapterError(f"{self._source}: there is no expert for {one_line(tensor)}")
        if tuple(fitted.shape) != tuple(wanted):
            raise AdapterError(
                f"{self._source}: {one_line(tensor, 120)} adds {tuple(fitted.shape)} to a matrix "
                f"of {tuple(wanted)}: the adapter is for another model"
            )
        if not isinstance(module, (Linear, StackedLinear, Embedding)):
            raise AdapterError(f"{self._source}: {one_line(tensor, 120)} is no matrix of the model")
        vectors = [
            None if vector is None
            else self._changed(tensor, Dense(vector), _without_transposes(steps)).data
            for vector in (delta.bias, delta.magnitude)
        ]  # fmt: skip
        for vector in vectors:
            if vector is not None and tuple(vector.shape) != tuple(wanted[:1]):
                raise AdapterError(
                    f"{self._source}: {one_line(tensor, 120)} has a bias or a magnitude of "
                    f"{tuple(vector.shape)}, the model's matrix {wanted[0]} rows: the adapter is "
                    "for another model"
                )
        self._refuse_huge(tensor, matrix, *vectors)
        if any(each is not None for each in vectors) and type(module) is not Linear:
            raise AdapterError(
                f"{self._source}: {one_line(tensor, 120)}: DoRA and lora_bias are supported for "
                "linear layers only"
            )
        return part, Delta(fitted, *vectors)

    def _value(self, tensor: str, value: Tensor, place: str, steps: Sequence[Step]) -> Tensor:
        slot = self._slots[place]
        fitted: Tensor = self._changed(tensor, Dense(value), steps).decode()
        if tuple(fitted.shape) != tuple(slot.shape):
            more = ""
            if len(value.shape) == 2 and value.shape[1:] == slot.shape[1:]:
                more = "; adapters that add tokens to the vocabulary are not supported"
            raise AdapterError(
                f"{self._source}: {one_line(tensor, 120)} is {tuple(value.shape)}, the model has "
                f"{tuple(slot.shape)}{more}"
            )
        if isinstance(slot.module, StackedLinear):
            raise AdapterError(
                f"{self._source}: {one_line(tensor, 120)} replaces matrices of experts, which is "
                "not supported"
            )
        self._refuse_huge(tensor, fitted)
        return fitted.contiguous()

    def _rows(
        self, tensor: str, indices: tuple[int, ...], value: Tensor, place: str
    ) -> tuple[tuple[int, ...], Tensor]:
        shape = self._slots[place].shape
        if not indices or len(set(indices)) != len(indices):
            raise AdapterError(
                f"{self._source}: {one_line(tensor, 120)} should replace rows, each once, not "
                f"{indices!s:.60}"
            )
        if any(not 0 <= index < shape[0] for index in indices) or value.shape[1:] != shape[1:]:
            raise AdapterError(
                f"{self._source}: {one_line(tensor, 120)} replaces rows {max(indices)} and others "
                f"by {tuple(value.shape)}, the model has {tuple(shape)}"
            )
        self._refuse_huge(tensor, value)
        return indices, value

    def _refuse_huge(self, tensor: str, *numbers: LowRank | Tensor | None) -> None:
        for each in numbers:
            if isinstance(each, LowRank):
                size = _largest(each.left) * _largest(each.right)
            else:
                size = 0.0 if each is None else _largest(each)
            if not size <= LARGEST:
                raise AdapterError(
                    f"{self._source}: {one_line(tensor, 120)} is not finite once it is scaled: its "
                    "lora_alpha or its numbers are too large"
                    if not math.isfinite(size)
                    else f"{self._source}: {one_line(tensor, 120)} has numbers up to {size:.1e}, "
                    f"and {LARGEST:.0e} is the most: its lora_alpha or its numbers are too large"
                )


def _largest(tensor: Tensor) -> float:
    return float(tensor.abs().max()) if tensor.numel() else 0.0


def _places(model: nn.Module) -> dict[str, Slot]:
    """The places of a loaded model, whose matrices may be in a backend's form."""
    found = slots(model)
    for path, module in model.named_modules():
        if isinstance(module, (Linear, Embedding, StackedLinear)):
            shape, stacked = tuple(module.weight.shape), isinstance(module, StackedLinear)
            found[f"{path}.weight"] = Slot(module, "weight", shape, True, stacked)
    return found


def _shared(model: nn.Module) -> dict[str, list[str]]:
    """Paths of matrices that several layers have in common: of each of them, all."""
    paths: dict[nn.Module, list[str]] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, (Linear, StackedLinear)):
            paths.setdefault(module, []).append(path)
    return {each: many for many in paths.values() if len(many) > 1 for each in many}


def _transposed(steps: Sequence[Step]) -> bool:
    return any(type(step.rule).__name__ == "Transpose" for step in steps)


def _without_transposes(steps: Sequence[Step]) -> list[Step]:
    return [step for step in steps if type(step.rule).__name__ != "Transpose"]
