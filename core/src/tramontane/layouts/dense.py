"""Weights that are not quantized."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .select import picked


@dataclass(frozen=True)
class Dense:
    """Unquantized weights. data: (rows, columns) or any other shape, any float dtype."""

    data: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)

    @property
    def kind(self) -> str:
        return str(self.data.dtype).removeprefix("torch.")

    def tensors(self) -> dict[str, Tensor]:
        return {"data": self.data}

    def rows(self, index: Tensor | slice) -> Dense:
        return Dense(picked(self.data, index))

    def map(self, change: Callable[[Tensor], Tensor]) -> Dense:
        return Dense(change(self.data))

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.data.to(dtype)
