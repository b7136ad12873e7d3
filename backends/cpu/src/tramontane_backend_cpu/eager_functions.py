"""Eager fallback: kernels for functions of single numbers that a model calls by itself.

torch's own give the last few numbers of a tensor other bits, so that a token's would depend on how
many others there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .eager import activate
from .step.pool import Pool

FUNCTIONS: dict[Any, str] = {
    F.silu: "silu", F.relu: "relu", F.gelu: "gelu", F.softplus: "softplus",
    torch.sigmoid: "sigmoid", Tensor.sigmoid: "sigmoid", F.sigmoid: "sigmoid",
    torch.exp: "exp", Tensor.exp: "exp",
    torch.tanh: "tanh", Tensor.tanh: "tanh", F.tanh: "tanh",
}  # fmt: skip
"""Functions of torch and the names of their kernels, those of the recorded step."""
PLAIN: dict[str, Any] = {"inplace": False, "beta": 1, "threshold": 20, "approximate": "none"}
"""Arguments with which a function is its kernel's."""


class SteadyFunctions(TorchFunctionMode):
    """Calls of `FUNCTIONS` go to kernels while this is entered; the bits of a row do not depend on
    the number of rows. Parameters are left to torch, as recorded steps leave them."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self._kernels = {name: activate(name, pool) for name in {*FUNCTIONS.values(), "gelu_tanh"}}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        told = dict(kwargs or {})
        if (name := FUNCTIONS.get(func)) and len(args) == 1 and _batched(args[0]):
            if name == "gelu" and told.get("approximate") == "tanh":
                name = "gelu_tanh"
                del told["approximate"]
            if all(value == PLAIN.get(option) for option, value in told.items()):
                return self._kernels[name](args[0])
        return func(*args, **(kwargs or {}))


def _batched(x: Any) -> bool:
    is_tensor = isinstance(x, Tensor) and not isinstance(x, nn.Parameter)
    # of models on several devices some tensors are on others
    here = is_tensor and x.is_cpu
    return here and x.is_floating_point() and x.dim() > 0 and x.numel() > 0
