"""What one of a model's devices sees of a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tramontane.placement.placed import Placed

    from .kv_cache import KVCache


class CacheView:
    """The keys and values that a device's modules look up, in `layers`; the rest is the whole's."""

    def __init__(self, whole: KVCache, placed: Placed, name: str) -> None:
        self.whole, self.device = whole, placed.by_name[name].device
        read = placed.read_on(name)
        self.layers = {index: each for index, each in whole.layers.items() if index in read}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)
