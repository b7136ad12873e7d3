"""Quantized layers inside safetensors: a quantizer's `translate` turns each one into a layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import nn

from tramontane.block_format import Stored
from tramontane.errors import CheckpointError, PluginBroken
from tramontane.layouts import Dense, Layout
from tramontane.plugin import Quantizer, load
from tramontane.sanitize import one_line
from tramontane.target_call import call
from tramontane.tokenizer.tokenizer import Tokenizer

from .checkpoint import Checkpoint, HasFileMetadata, Header, ReadsStored, TensorInfo
from .layer_names import names_below_layers, renamed
from .layer_tensors import LayerTensors
from .layout_checks import check_layout
from .rules import Rule, Transpose, follow
from .weight_map import Slot, Source, module_path, parted, slots

PLAIN = {"f64", "f32", "f16", "bf16", "float64", "float32", "float16", "bfloat16"}
"""Weights that are used as they are stored, if no other tensor is below the layer's path."""


@dataclass(frozen=True)
class Layer:
    """One quantized layer. path: in the checkpoint's names. parts: names below it to tensors.
    shape: of its matrix, as a checkpoint that is not quantized would store it. transposed: whether
    that is (columns, rows), as GPT-2's are."""

    path: str
    parts: Mapping[str, str]
    shape: tuple[int, ...]
    transposed: bool = False

    def __str__(self) -> str:
        return one_line(self.path, 120)


class QuantizedCheckpoint:
    """A checkpoint whose quantized layers each read as one packed matrix. Implements
    `Checkpoint`; reads no weight before `read`."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        offer: Quantizer,
        settings: dict[str, Any],
        model: nn.Module,
        rules: Sequence[Rule],
    ) -> None:
        self._inner, self._offer, self._settings = checkpoint, offer, settings
        assert offer.translate is not None
        self._translate = load(offer.translate)
        self._file_names = names_below_layers(checkpoint.header, offer, settings)
        header, self.names = renamed(checkpoint.header, self._file_names), checkpoint.names
        self._layers = quantized_layers(header, model, rules, self.names)
        tensors = dict(header.tensors)
        for name, layer in self._layers.items():
            for tensor in layer.parts.values():
                del tensors[tensor]
            stored = sum(header.tensors[tensor].nbytes for tensor in layer.parts.values())
            tensors[name] = TensorInfo(
                layer.shape, offer.name, stored, self._in_memory(header, layer)
            )
        self.header = replace(header, tensors=tensors)

    def _in_memory(self, header: Header, layer: Layer) -> int | None:
        """Bytes in memory, if the format says how many."""
        if self._offer.memory is None:
            return None
        infos = {part: header.tensors[name] for part, name in layer.parts.items()}
        given = {"tensors": infos, "config": self._settings}
        found = self._guarded(layer, load(self._offer.memory), given)
        if not isinstance(found, int) or found < 0:
            raise PluginBroken(
                f"the quantizer {self._offer.name!r}: memory={self._offer.memory} returned "
                f"{one_line(repr(found), 60)} for {layer}; it must return a number of bytes"
            )
        return found

    def read(self, name: str) -> Layout:
        """One tensor, or the layout of a layer. Raises CheckpointError that names it."""
        layer = self._layers.get(name)
        if layer is None:
            return self._inner.read(self._in_file(name))
        read = {part: self._inner.read(self._in_file(t)) for part, t in layer.parts.items()}
        tensors = LayerTensors({k: v.data for k, v in read.items() if isinstance(v, Dense)})
        given = {"tensors": tensors, "config": self._settings}
        layout = self._guarded(layer, self._translate, given)
        if layout is None:  # not the format's: dense as stored
            plain = next((part for part in ("weight", "") if part in tensors), None)
            if plain is None:
                raise self._error(layer, f"{self._offer.name} leaves it as stored: no weight there")
            tensors.unused = set(layer.parts) - {plain}
            layout = Dense(tensors[plain])
        if tensors.unused:
            unused = ", ".join(sorted(self._in_file(layer.parts[part]) for part in tensors.unused))
            raise self._error(layer, f"not used by {self._offer.name}: {one_line(unused, 200)}")
        if why := check_layout(layout, layer.shape):
            raise self._error(layer, why)
        return layout  # type: ignore[no-any-return]

    def _guarded(self, layer: Layer, target: Callable[..., Any], given: dict[str, Any]) -> Any:
        """Call a target of the format for a layer."""
        try:
            return call(
                target, given, path=layer.path, shape=layer.shape,
                transposed=layer.transposed, model=dict(self._inner.header.config),
                metadata=self._file_metadata(layer),
            )  # fmt: skip
        except CheckpointError as error:
            path, named = str(self._inner.header.path), layer.path in str(error)
            if named and path in str(error):
                raise
            why = f"{path}: {error}" if named else f"{path}: {layer}: {error}"
            raise CheckpointError(why) from error
        except KeyError as error:
            there = ", ".join(sorted(map(self._in_file, layer.parts.values())))
            raise self._error(
                layer, f"{error} is missing; it has {one_line(there, 200)}"
            ) from error
        except PluginBroken:
            raise
        except Exception as error:
            raise self._error(
                layer, f"{self._offer.name} cannot read it: {one_line(repr(error), 200)}"
            ) from error

    def _file_metadata(self, layer: Layer) -> Mapping[str, str]:
        """What the files of the layer's tensors hold beside tensors."""
        if not isinstance(self._inner, HasFileMetadata):
            return {}
        return self._inner.file_metadata(map(self._in_file, layer.parts.values()))

    def _error(self, layer: Layer, why: str) -> CheckpointError:
        return CheckpointError(f"{self._inner.header.path}: {layer}: {why}")

    def stored(self, name: str) -> Stored | None:
        """Implements `ReadsStored`, for what is not quantized."""
        if name in self._layers or not isinstance(self._inner, ReadsStored):
            return None
        return self._inner.stored(self._in_file(name))

    def _in_file(self, name: str) -> str:
        return self._file_names.get(name, name)

    def tokenizer(self) -> Tokenizer:
        return self._inner.tokenizer()

    def chat_template(self) -> str | None:
        return self._inner.chat_template()

    def generation_defaults(self) -> Mapping[str, Any]:
        return self._inner.generation_defaults()

    def close(self) -> None:
        self._inner.close()


def quantized_layers(
    header: Header, model: nn.Module, rules: Sequence[Rule], names: Mapping[str, str]
) -> dict[str, Layer]:
    """The layers that are not just a plain weight, by the name that their matrix has if it is."""
    wanted = slots(model)

    @cache
    def places(tensor: str) -> tuple[tuple[str, Source], ...]:
        """Slots that a tensor of this name would fill, and how."""
        stem, last = parted(tensor)
        return tuple(
            (place, Source(((tensor, tuple(steps)),)))
            for path, end, steps in follow(module_path(stem, names), last, rules)
            if (place := f"{path}.{end}" if path and end else path or end) in wanted
        )

    def left_out(tensor: str) -> bool:
        stem, last = parted(tensor)
        return not follow(module_path(stem, names), last, rules)

    @cache
    def matrix(prefix: str) -> str | None:
        """What the matrix of the layer of this path is called, if it is one."""
        for name in (f"{prefix}.weight", prefix):
            if any(wanted[place].packs for place, _ in places(name)):
                return name
        return None

    found: dict[str, tuple[str, dict[str, str]]] = {}
    for tensor in header.tensors:
        if any(not wanted[place].packs for place, _ in places(tensor)) or left_out(tensor):
            continue  # a bias or a norm of the model, or no part of it at all
        prefix = tensor
        while prefix and (name := matrix(prefix)) is None:
            prefix = prefix.rpartition(".")[0]
        if prefix and name is not None:
            path = prefix.removesuffix(".weight") if name == prefix else prefix
            part = tensor.removeprefix(path).removeprefix(".")
            found.setdefault(name, (path, {}))[1][part] = tensor
    shares = Counter(place for name in found for place, _ in places(name))
    return {
        name: Layer(path, parts, _shape(places(name), wanted, shares, model), _turned(places(name)))
        for name, (path, parts) in found.items()
        if not _plain(header, name, parts)
    }


def _turned(places: Sequence[tuple[str, Source]]) -> bool:
    steps = (step for _, source in places for _, steps in source.pieces for step in steps)
    return any(isinstance(step.rule, Transpose) for step in steps)


def _plain(header: Header, name: str, parts: Mapping[str, str]) -> bool:
    return set(parts.values()) == {name} and header.tensors[name].stored.lower() in PLAIN


def _shape(
    places: Sequence[tuple[str, Source]],
    wanted: Mapping[str, Slot],
    shares: Mapping[str, int],
    model: nn.Module,
) -> tuple[int, ...]:
    """Of a matrix as stored: of several layers in one all rows, of a stack one matrix."""
    places = [(place, source) for place, source in places if wanted[place].packs]
    rows = sum(wanted[place].shape[0] // shares[place] for place, _ in places)
    place, source = places[0]
    columns = wanted[place].shape[1]
    goal = (wanted[place].shape[0] // shares[place], columns)
    for shape in ((rows, columns), (columns, rows)):
        empty = Dense(torch.empty(shape, device="meta"))
        try:
            if source.make({source.tensors[0]: empty}, model).shape == goal:
                return shape
        except (ValueError, RuntimeError, IndexError):
            continue
    return (rows, columns)
