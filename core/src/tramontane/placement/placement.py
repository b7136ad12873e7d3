"""A placement: the devices of a model, and which of its modules each has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tramontane.backend import Device
from tramontane.plugin import Backend

Found: TypeAlias = tuple[Device, Backend | None]
"""A device and whose it is; None: the reference."""
LAYER = re.compile(r"model\.layers\.(\d+)(?:\.|$)")


@dataclass(frozen=True)
class Placement:
    """devices: the first is home: it has all modules that are in no layer, such as the embedding,
    the last norm, the output matrix and encoders of media. layers: of each layer the index of its
    device. modules: of single modules within another device's, by path."""

    devices: tuple[Found, ...]
    layers: tuple[int, ...]
    modules: Mapping[str, int] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """Whether there is a border between two devices."""
        return len(self.used) > 1

    @property
    def used(self) -> list[int]:
        """Indices of devices that have anything, home first."""
        return sorted({0, *self.layers, *self.modules.values()})

    @property
    def home(self) -> Found:
        return self.devices[0]

    def index(self, path: str) -> int:
        """The device of a module or a weight, by its path in the model."""
        parts = path.split(".")
        for count in range(len(parts), 0, -1):
            found = self.modules.get(".".join(parts[:count]))
            if found is not None:
                return found
        layer = layer_of(path)
        return 0 if layer is None else self.layers[layer]

    def of_layer(self, index: int) -> int:
        """The device of the keys, values and states of a layer, by the `index` of its modules."""
        return self.layers[index] if index < len(self.layers) else 0

    def device(self, path: str) -> Device:
        return self.devices[self.index(path)][0]

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """(device, first layer, last layer) of layers in a row."""
        first = 0
        for last, device in enumerate(self.layers):
            if last + 1 == len(self.layers) or self.layers[last + 1] != device:
                yield device, first, last
                first = last + 1

    def said(self, device: int) -> str:
        """What a device has, for people: "layers 0 to 15, experts of 16 layers"."""
        found = [f"layers {ranges(self._layers_of(device))}"] if device in self.layers else []
        if device == 0:
            found.append("all outside layers")
        inner = [path for path, to in self.modules.items() if to == device]
        numbers = {layer for path in inner if (layer := layer_of(path)) is not None}
        if numbers:
            found.append(f"experts of layers {ranges(sorted(numbers))}")
        others = [path for path in inner if layer_of(path) is None]
        return ", ".join([*found, *others]) or "nothing"

    def _layers_of(self, device: int) -> list[int]:
        return [layer for layer, to in enumerate(self.layers) if to == device]


def layer_of(path: str) -> int | None:
    """The number of the layer that a path is in."""
    match = LAYER.match(path)
    return None if match is None else int(match[1])


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers for people: "0 to 3, 7"."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in found)


def on_one(device: Found, layers: int) -> Placement:
    """All of a model on one device."""
    return Placement((device,), (0,) * layers)
