"""What says how much each adapter of a mixture counts for a token: a small network that reads the
model's last hidden state (X-LoRA; Buehler and Buehler 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tramontane.errors import AdapterError
from tramontane.layouts import Dense

from .kernels import Multiply


@dataclass(frozen=True)
class Classifier:
    """weights: (rows, columns) float32 of its layers, first to last, and biases. adapters: how many
    it chooses among; the last layer has a multiple of rows, or as many where all layers of the
    model have equal shares.

    relu: between its layers. softmax: over the adapters, of scores divided by temperature. top_k:
    how many adapters count at once, the others are 0; of equal ones the first. softmax_kept: once
    more over those that count. Raises AdapterError for what does not fit together.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor | None, ...]
    adapters: int
    relu: bool = True
    softmax: bool = True
    temperature: float = 1.0
    top_k: int | None = None
    softmax_kept: bool = False

    def __post_init__(self) -> None:
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if weight.dim() != 2 or (bias is not None and bias.shape != weight.shape[:1]):
                raise AdapterError(
                    f"layer {number} of the classifier is {tuple(weight.shape)}, and should be "
                    "(rows, columns), with as many numbers in its bias as rows"
                )
            if not all(each.isfinite().all() for each in (weight, bias) if each is not None):
                raise AdapterError(
                    f"layer {number} of the classifier has numbers that are not finite"
                )
            if number and weight.shape[1] != self.weights[number - 1].shape[0]:
                raise AdapterError(
                    f"layer {number} of the classifier reads {weight.shape[1]} numbers, and the "
                    f"one before it gives {self.weights[number - 1].shape[0]}"
                )
        rows = self.weights[-1].shape[0]
        if not rows or rows % self.adapters:
            raise AdapterError(
                f"the classifier gives {rows} numbers, which is no multiple of its "
                f"{self.adapters} adapters"
            )

    @property
    def hidden(self) -> int:
        """Numbers of a hidden state."""
        return self.weights[0].shape[1]

    @property
    def layers(self) -> int:
        """Layers with shares of their own; 1: all have the same."""
        return self.weights[-1].shape[0] // self.adapters

    def tensors(self) -> Iterator[Tensor]:
        """All numbers of it."""
        for each in (*self.weights, *self.biases):
            if each is not None:
                yield each

    def shares(self, x: Tensor, multiply: Multiply) -> Tensor:
        """x: (rows, hidden) float32 -> (rows, layers, adapters). multiply: a product whose rows do
        not depend on others."""
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = multiply(x, Dense(weight))
            if bias is not None:
                x = x + bias
            if self.relu and number < last:
                x = x.relu()
        scores = x.float().unflatten(1, (self.layers, self.adapters))
        if self.softmax:
            scores = _softmax(scores / self.temperature)
        return self.kept(scores)

    def kept(self, scores: Tensor) -> Tensor:
        """scores: (..., adapters) -> the same of those that count."""
        if self.top_k is not None and self.top_k < self.adapters:
            order = scores.sort(dim=-1, descending=True, stable=True).indices[..., : self.top_k]
            scores = torch.zeros_like(scores).scatter(-1, order, scores.gather(-1, order))
        if self.softmax_kept:
            counts = scores != 0
            some = counts.any(-1, keepdim=True)
            found = _softmax(scores.masked_fill(~counts & some, -torch.inf))
            scores = found.masked_fill(~counts, 0.0)
        return scores


def _softmax(scores: Tensor) -> Tensor:
    """Over the last dimension; each number by operations that take numbers alone, and sums in one
    order: a row's bits do not depend on how many there are."""
    powers = (scores - scores.amax(-1, keepdim=True)).double().exp()
    total = powers[..., 0]
    for index in range(1, powers.shape[-1]):
        total = total + powers[..., index]
    return (powers / total[..., None]).float()
