"""Activation functions of feed-forward halves, by their names in configurations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Gelu: TypeAlias = Literal["gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"]
"""Values of `hidden_act` that mean GELU: the exact one (Hendrycks and Gimpel 2016), and three names
of its tanh approximation."""


def _relu2(x: Tensor) -> Tensor:
    return torch.relu(x).square()


def quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x), as in CLIP; (..., n) -> the same shape."""
    return x * torch.sigmoid(1.702 * x)


_TANH = partial(F.gelu, approximate="tanh")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "relu": F.relu,
    "relu2": _relu2,
    "gelu": F.gelu,
    "gelu_new": _TANH,
    "gelu_fast": _TANH,
    "gelu_pytorch_tanh": _TANH,
    "quick_gelu": quick_gelu,
}
"""`hidden_act` of a configuration to a function, any shape -> the same shape."""


@dataclass(frozen=True)
class ClampedSwiGLU:
    """(u + shift) g sigmoid(alpha g), with g = min(gate, limit) and u = up within -limit and limit:
    what gpt-oss (alpha 1.702, shift 1) and DeepSeek-V4 (1 and 0) have for silu(gate) up.

    Two tensors of a shape -> one of that shape.
    """

    limit: float
    alpha: float = 1.0
    shift: float = 0.0

    def __call__(self, gate: Tensor, up: Tensor) -> Tensor:
        gate, up = gate.clamp(max=self.limit), up.clamp(-self.limit, self.limit)
        return (up + self.shift) * (gate * torch.sigmoid(self.alpha * gate))
