"""How far a kernel's result may be from the exact one, derived from the numbers that it is given.

With activations="f32" nothing is rounded but sums of float32 numbers: n products added in any order
are off by a few times sqrt(n) * 2^-24 of the result's size, which for n below 10^4 is less than

    EXACT = 1e-5.

A weight of 16 bits may be multiplied in bfloat16, whose numbers have 8 significant bits: inputs and
results are then rounded to these, and nothing else is.

With activations="auto" the inputs of packed weights may be rounded to 8 bits. The coarsest way that
is allowed has one scale per token:

    scale = largest magnitude / 127, number -> scale * round(number / scale)

A product is off by the sum of what its inputs are off by, times the weights: it behaves as noise of
no direction. `Bound` computes this noise by doing the rounding, and allows

    relative error <= SPREAD * noise + EXACT
    |slope - 1|    <= max(1e-3, 5 noise sqrt((1 / n_in + 1 / n_out) / tokens))

since another way of rounding is another draw of noise, of the same size at most. The slope is
<got, exact> / <exact, exact>. Noise leaves it at 1 up to its standard deviation, which is taken
five times; a kernel whose products are all one percent too large is found by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor, nn

from tramontane import reference
from tramontane.blocks import Linear, StackedLinear
from tramontane.layouts import Dense, Layout

EXACT = 1e-5
SPREAD = 1.5
LEVELS = 127

Round: TypeAlias = Callable[[Tensor], Tensor]


def to_eight_bits(x: Tensor) -> Tensor:
    """(tokens, n): as 8-bit codes with one scale per token give it back."""
    scale = x.abs().amax(-1, keepdim=True).clamp(min=1e-30) / LEVELS
    return (x / scale).round() * scale


def to_bfloat16(x: Tensor) -> Tensor:
    """The nearest numbers of 8 significant bits."""
    return x.bfloat16().to(x.dtype)


def relative(got: Tensor, expected: Tensor) -> float:
    """The size of the difference by the size of what is expected, over all numbers."""
    expected = expected.double()
    return float((got.cpu().double() - expected).norm() / expected.norm())


@dataclass(frozen=True)
class Bound:
    """What is allowed for a product or for logits. noise: what rounding alone is off by.

    n_in, n_out, tokens: of a product, None for logits, of which no slope is asked.
    """

    noise: float
    sizes: tuple[int, int, int] | None = None

    def check(self, got: Tensor, expected: Tensor, what: str) -> None:
        """Raises AssertionError that says what is off by how much."""
        allowed = EXACT + SPREAD * self.noise
        error = relative(got, expected)
        assert error <= allowed, (
            f"{what}: off by {error:.2g} of the result's size, {allowed:.2g} is allowed"
        )
        if self.sizes is None:
            return
        n_in, n_out, tokens = self.sizes
        exact = expected.double()
        slope = float((got.cpu().double() * exact).sum() / exact.square().sum())
        allowed = max(1e-3, 5 * self.noise * ((1 / n_in + 1 / n_out) / tokens) ** 0.5)
        assert abs(slope - 1) <= allowed, (
            f"{what}: all results are too large or too small, by a factor of {slope:.4f}"
        )


def rounds(weight: Layout, activations: str) -> Round | None:
    """How the inputs of this weight may be rounded; None: not at all."""
    if isinstance(weight, Dense):
        return to_bfloat16 if weight.data.element_size() == 2 else None
    return to_eight_bits if activations == "auto" else None


def rounded_linear(activations: str) -> Callable[[Tensor, Layout], Tensor]:
    """The reference's product, with the rounding that is allowed."""

    def multiply(x: Tensor, weight: Layout) -> Tensor:
        change = rounds(weight, activations)
        if change is None:
            return reference.linear(x, weight)
        product = reference.linear(change(x), weight)
        return to_bfloat16(product) if isinstance(weight, Dense) else product

    return multiply


def let_round(model: nn.Module, activations: str) -> None:
    """Put this rounding into all products of a model on the reference, to see what comes of it."""
    multiply = rounded_linear(activations)

    def grouped(x: Tensor, counts: Tensor, weight: Layout) -> Tensor:
        change = rounds(weight, activations)
        return reference.grouped_linear(x if change is None else change(x), counts, weight)

    for module in model.modules():
        if isinstance(module, Linear):
            module.kernel = multiply
        elif isinstance(module, StackedLinear):
            module.kernel = grouped


def product_bound(x: Tensor, weight: Layout, activations: str) -> Bound:
    """Of x Wᵀ. x: (tokens, n_in)."""
    exact = reference.linear(x, weight)
    noise = relative(rounded_linear(activations)(x, weight), exact)
    return Bound(noise, (weight.shape[1], weight.shape[0], len(x)))
