"""Convolutions of MobileNetV5, Gemma 3n's encoder of images, some rows of the picture at a time.

Maps are (height, width, channels): a matrix for each place needs no convolution. Tensors are called
as in timm, where norms are `bn` and matrices convolutions of 1 x 1.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import RMSNorm
from tramontane.blocks.vision import PART, Parts, Patches

from .gemma3n_subsample import EPS
from .model import TANH

OTHERS = 512
"""Products of a matrix in the time of a norm and gelu of one number, about."""
OfPlaces = Callable[[Tensor], Tensor]
"""(height, width, channels) -> (height, width, other channels), each place for itself."""


def widened(x: Tensor, kernel: int, stride: int) -> Tensor:
    """With zeros around it, for a result at each `stride`-th place. Of an odd number of zeros one
    more is behind than before."""
    sides = []
    for size in (x.shape[1], x.shape[0]):
        more = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        sides += [more // 2, more - more // 2]
    return F.pad(x, (0, 0, *sides))


def matrix_of(inner: int, outer: int) -> Patches:
    return Patches(outer, inner, 1, 1, bias=False)


def each_place(x: Tensor, matrix: Patches) -> Tensor:
    """(height, width, channels) -> (height, width, other channels)."""
    out: Tensor = matrix(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return out


def by_rows(x: Tensor, function: OfPlaces, cost: int) -> Parts:
    """function(x), some rows at a time. cost: its products for a place."""
    found: list[Tensor] = []
    for rows in x.split(max(1, PART // (x.shape[1] * cost))):
        if found:
            yield None
        found.append(function(rows))
    return torch.cat(found)


class Convolution(Patches):
    """(height, width, channels) -> (height / stride, width / stride, other channels). Tensors:
    weight (outer, inner, kernel, kernel), bias (outer)."""

    def __init__(
        self, inner: int, outer: int, kernel: int, stride: int = 1, *, bias: bool = False
    ) -> None:
        super().__init__(outer, inner, kernel, kernel, bias=bias)
        self.size, self.stride = kernel, stride

    def parts(
        self, x: Tensor, then: OfPlaces, cost: int = 0, before: OfPlaces = lambda x: x
    ) -> Parts:
        """then(what it makes of before(x)), some rows at a time. before: zeros stay zeros. cost:
        products of both for a place of the result."""
        x = widened(x, self.size, self.stride)
        high, wide = ((size - self.size) // self.stride + 1 for size in x.shape[:2])
        cost += self.weight.numel() + OTHERS * self.weight.shape[0]
        each = max(1, PART // (wide * cost))
        found: list[Tensor] = []
        for first in range(0, high, each):
            if found:
                yield None
            last = min(first + each, high) - 1
            rows = x[first * self.stride : last * self.stride + self.size]
            found.append(then(self.of_rows(before(rows))))
        return torch.cat(found)

    def of_rows(self, x: Tensor) -> Tensor:
        squares = x.unfold(0, self.size, self.stride).unfold(1, self.size, self.stride)
        out: Tensor = self(squares.flatten(2).flatten(0, 1)).unflatten(0, squares.shape[:2])
        return out


class AloneConvolution(Convolution):
    """The same of each channel by itself, in float32. Tensor: weight (channels, 1, kernel,
    kernel)."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(1, channels, kernel, stride)

    def of_rows(self, x: Tensor) -> Tensor:
        planes, weight = x.float().permute(2, 0, 1)[None], self.weight.float()
        made = F.conv2d(planes, weight, None, self.stride, groups=len(weight))
        return made[0].permute(1, 2, 0).to(x.dtype)


class ConvNorm(nn.Module):
    """A norm of what `conv` makes, and gelu of it if `act`. Tensors: conv, bn (outer)."""

    def __init__(self, conv: Patches, *, act: bool = False) -> None:
        super().__init__()
        self.conv, self.act = conv, act
        self.bn = RMSNorm(conv.weight.shape[0], EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Of a matrix: (height, width, channels) -> (height, width, other channels)."""
        return self.behind(each_place(x, self.conv))

    def behind(self, x: Tensor) -> Tensor:
        x = self.bn(x)
        return TANH(x) if self.act else x

    def parts(
        self, x: Tensor, then: OfPlaces = lambda x: x, cost: int = 0,
        before: OfPlaces = lambda x: x,
    ) -> Parts:  # fmt: skip
        """Of a convolution, see there."""
        conv: Convolution = self.conv  # type: ignore[assignment]
        out = yield from conv.parts(x, lambda rows: then(self.behind(rows)), cost, before)
        return out


class Scale(nn.Module):
    """Multiplies each channel. Tensor: gamma (channels)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(channels), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma
