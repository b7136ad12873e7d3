"""Convolutions that shorten a spectrogram, in front of the layers of Phi-4-multimodal's encoder of
sounds."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import Linear

from .phi4_config import SoundsConfig

SHORTENED = 100
"""Positions that the convolutions make at once."""


def vector(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape), requires_grad=False)


class Weights(nn.Module):
    """A weight and a bias of as many numbers as it has rows."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight, self.bias = vector(*shape), vector(shape[0])


class Shorten(nn.Module):
    """Three by three convolutions that leave every second frame and band, with relu: the first of
    the spectrogram, the others of each channel by itself with a matrix over channels behind.
    Tensors: conv.N, out (hidden, channels * bands)."""

    def __init__(self, cfg: SoundsConfig) -> None:
        super().__init__()
        channels, self.factor = cfg.nemo_conv_channels, cfg.time_reduction
        self.conv = nn.Module()
        self.conv.add_module("0", Weights(channels, 1, 3, 3))
        self.pairs = [(f"{2 + 3 * i}", f"{3 + 3 * i}") for i in range(cfg.halvings - 1)]
        for alone, across in self.pairs:
            self.conv.add_module(alone, Weights(channels, 1, 3, 3))
            self.conv.add_module(across, Weights(channels, channels, 1, 1))
        self.out = Linear(channels * cfg.bands, cfg.hidden_size, bias=True)

    def steps(self, x: Tensor) -> Iterator[Tensor | None]:
        """x: (frames, bands) -> None between some and others, last (positions, hidden)."""
        count, found = -(-len(x) // self.factor), list[Tensor]()
        for first in range(0, count, SHORTENED):
            last, before = min(first + SHORTENED, count), min(first, 1)
            # a position sees frames of the one before, and none of the next
            part = x[(first - before) * self.factor : last * self.factor]
            found.append(self.shortened(part)[before:])
            yield None
        yield torch.cat(found)

    def shortened(self, x: Tensor) -> Tensor:
        of: dict[str, Any] = dict(self.conv.named_children())
        y = x.to(of["0"].weight.dtype)[None, None]
        y = F.relu(F.conv2d(y, of["0"].weight, of["0"].bias, 2, 1))
        for alone, across in self.pairs:
            y = F.conv2d(y, of[alone].weight, of[alone].bias, 2, 1, groups=y.shape[1])
            y = F.relu(F.conv2d(y, of[across].weight, of[across].bias))
        out: Tensor = self.out(y[0].transpose(0, 1).flatten(1))
        return out
