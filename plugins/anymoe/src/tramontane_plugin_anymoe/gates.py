"""The gate of each layer: how likely each expert is for a vector.

p(x) = softmax(W x + b), or softmax(W relu(V x + c) + b) with a hidden layer; x is what the layer's
feed-forward half is given, behind its norm. A prompt's probabilities are the means of its tokens'.
`gate.safetensors` has, by a layer's number, `moe_gate.N.weight` (experts, hidden) and
`moe_gate.N.bias` (experts), as mistral.rs has them, and with a hidden layer `moe_gate.N.hidden`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from tramontane.checkpoint.safetensors_file import SafetensorsFile
from tramontane.errors import AdapterError
from tramontane.layouts import Dense
from tramontane.sanitize import one_line

PREFIX = "moe_gate"


@dataclass(frozen=True)
class Gate:
    """Of one layer. weight: (experts, width), bias: (experts). inner, inner_bias: (gate_hidden,
    hidden) and (gate_hidden) of the hidden layer, or None."""

    weight: Tensor
    bias: Tensor
    inner: Tensor | None = None
    inner_bias: Tensor | None = None

    def scores(self, x: Tensor, multiply: Callable[[Tensor, Dense], Tensor]) -> Tensor:
        """x: (tokens, hidden) -> (tokens, experts) float32. multiply: a product whose rows' bits
        do not depend on their number."""
        x = x.float().cpu()
        if self.inner is not None and self.inner_bias is not None:
            x = torch.relu(multiply(x, Dense(self.inner)) + self.inner_bias)
        return multiply(x, Dense(self.weight)) + self.bias

    def likely(self, x: Tensor, multiply: Callable[[Tensor, Dense], Tensor]) -> Tensor:
        """x: (tokens, hidden) -> (tokens, experts) float32, which add up to 1."""
        # in float64, whose last bits may depend on where in a register a number lies
        return self.scores(x, multiply).double().softmax(-1).float()

    def tensors(self, layer: int) -> dict[str, Tensor]:
        name = f"{PREFIX}.{layer}"
        found = {f"{name}.weight": self.weight, f"{name}.bias": self.bias}
        if self.inner is not None and self.inner_bias is not None:
            found |= {f"{name}.hidden.weight": self.inner, f"{name}.hidden.bias": self.inner_bias}
        return found


def write_gates(gates: Sequence[Gate], layers: Sequence[int], path: Path) -> None:
    """layers: the number of each gate's."""
    tensors: dict[str, Tensor] = {}
    for gate, layer in zip(gates, layers, strict=True):
        tensors |= {name: each.contiguous() for name, each in gate.tensors(layer).items()}
    save_file(tensors, path)


def read_gates(
    path: Path, layers: Sequence[int], *, experts: int, hidden: int, inner: int
) -> list[Gate]:
    """inner: the size of the hidden layer, 0 without. A file that counts its gates, whatever their
    layers are, is read too. Raises AdapterError, CheckpointError."""
    if not path.exists():
        raise AdapterError(f"there are no gates at {path}: tramontane anymoe train makes them")
    file = SafetensorsFile(path)
    try:
        tensors = {}
        for name in file.infos():
            layout = file.read(name)
            if not isinstance(layout, Dense) or not layout.data.dtype.is_floating_point:
                raise AdapterError(f"{path}: {one_line(name, 120)} holds no floats")
            tensors[name] = layout.data.float().clone()
    finally:
        file.close()
    known = {name.split(".")[1] for name in tensors if name.startswith(f"{PREFIX}.")}
    numbers = [str(layer) for layer in layers]
    if known == {str(index) for index in range(len(layers))}:
        numbers = [str(index) for index in range(len(layers))]
    width = inner or hidden
    shapes = {"weight": (experts, width), "bias": (experts,)}
    if inner:
        shapes |= {"hidden.weight": (inner, hidden), "hidden.bias": (inner,)}
    wanted = {
        f"{PREFIX}.{number}.{part}": shape for number in numbers for part, shape in shapes.items()
    }
    for name, shape in wanted.items():
        if name not in tensors:
            raise AdapterError(f"{path} has no {name}: its gates are of other layers or sizes")
        if tuple(tensors[name].shape) != shape:
            raise AdapterError(
                f"{path}: {name} is {tuple(tensors[name].shape)}, and {experts} experts of vectors "
                f"of {hidden} numbers need {shape}"
            )
        if not tensors[name].isfinite().all():
            raise AdapterError(f"{path}: {name} has numbers that are not finite")
    if more := sorted(set(tensors) - set(wanted)):
        raise AdapterError(f"{path}: {one_line(more[0], 120)} is of no layer that has experts")
    return [
        Gate(*(tensors.get(f"{PREFIX}.{number}.{part}") for part in (*shapes,)))  # type: ignore[arg-type]
        for number in numbers
    ]
