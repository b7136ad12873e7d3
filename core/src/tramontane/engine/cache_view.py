"""What one of a model's devices sees of a cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Places(Protocol):
    """Where a model's modules are, see `tramontane.placement.placed`."""

    @property
    def by_name(self) -> Mapping[str, Any]:
        """Devices by their names."""

    def layers(self) -> Mapping[int, Any]:
        """The device of each layer."""

    def read_on(self, name: str) -> set[int]:
        """The layers whose keys and values a device's modules look up."""


class CacheView:
    """The keys and values that a device's modules look up, in `layers`; the rest is the whole's."""

    def __init__(self, whole: Any, placed: Places, name: str) -> None:
        """whole: a KVCache."""
        self.whole, self.device = whole, placed.by_name[name].device
        read = placed.read_on(name)
        self.layers = {index: each for index, each in whole.layers.items() if index in read}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)
