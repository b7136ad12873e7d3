"""The tensors of one quantized layer, which remember whether they were looked at."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any

from torch import Tensor


class LayerTensors(dict[str, Tensor]):
    """A layer's tensors by their names below its path, and which of them were looked at."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(tensors)
        self.unused = set(tensors)

    def __getitem__(self, name: str) -> Tensor:
        found = super().__getitem__(name)
        self.unused.discard(name)
        return found

    def __iter__(self) -> Iterator[str]:  # so that `dict(tensors)` looks at each
        return super().__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        self.unused.discard(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        self.unused.discard(name)
        return super().pop(name, *default)

    def items(self) -> ItemsView[str, Tensor]:  # type: ignore[override]
        self.unused.clear()
        return super().items()

    def values(self) -> ValuesView[Tensor]:  # type: ignore[override]
        self.unused.clear()
        return super().values()
