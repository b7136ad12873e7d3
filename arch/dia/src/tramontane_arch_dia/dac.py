"""DAC (Kumar et al. 2023): a codec whose frames are codes of several codebooks, each of what those
before it leave."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .dac_config import DILATIONS, DacConfig


class Snake(nn.Module):
    """x + sin²(alpha x) / alpha, with an alpha of each channel: (channels, time) -> the same.
    Tensor: alpha (1, channels, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(1, channels, 1), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.alpha[0]
        return torch.sin(x * alpha).square_().mul_((alpha + 1e-9).reciprocal()).add_(x)


class Conv(nn.Module):
    """A convolution over time, (n_in, time) -> (n_out, time / stride). Tensors: weight (n_out,
    n_in, size), bias (n_out)."""

    def __init__(
        self, n_in: int, n_out: int, size: int, *, stride: int = 1, dilation: int = 1, pad: int = 0
    ) -> None:
        super().__init__()
        self.stride, self.dilation, self.pad = stride, dilation, pad
        self.weight = nn.Parameter(torch.empty(n_out, n_in, size), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(n_out), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        about = (self.stride, self.pad, self.dilation)
        return F.conv1d(x[None], self.weight, self.bias, *about)[0]


class ConvUp(nn.Module):
    """A transposed convolution, (n_in, time) -> (n_out, time * stride). Tensors: weight (n_in,
    n_out, 2 * stride), bias (n_out)."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(n_in, n_out, 2 * stride), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(n_out), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        about = (self.stride, self.stride // 2)
        return F.conv_transpose1d(x[None], self.weight, self.bias, *about)[0]


class Unit(nn.Module):
    """x + conv(snake(conv(snake(x)))), (channels, time) -> the same. Tensors: snake1, conv1,
    snake2, conv2."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.snake1, self.snake2 = Snake(channels), Snake(channels)
        self.conv1 = Conv(channels, channels, 7, dilation=dilation, pad=3 * dilation)
        self.conv2 = Conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.snake2(self.conv1(self.snake1(x))))
        return out.add_(x)


class Block(nn.Module):
    """Three residual units. Tensors: res_unit1, res_unit2, res_unit3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.res_unit1, self.res_unit2, self.res_unit3 = (Unit(channels, d) for d in DILATIONS)

    def units(self, x: Tensor) -> Tensor:
        out: Tensor = self.res_unit3(self.res_unit2(self.res_unit1(x)))
        return out


class DownBlock(Block):
    """(channels, time) -> (2 * channels, time / stride). Tensors: those of `Block`, snake1,
    conv1."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels)
        self.snake1 = Snake(channels)
        self.conv1 = Conv(channels, 2 * channels, 2 * stride, stride=stride, pad=stride // 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv1(self.snake1(self.units(x)))
        return out


class UpBlock(Block):
    """(channels, time) -> (channels / 2, time * stride). Tensors: those of `Block`, snake1,
    conv_t1."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels // 2)
        self.snake1 = Snake(channels)
        self.conv_t1 = ConvUp(channels, channels // 2, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.units(self.conv_t1(self.snake1(x)))


class Tower(nn.Module):
    """conv2(snake(blocks(conv1(x)))). Tensors: conv1, block.N, snake1, conv2."""

    def __init__(self, conv1: Conv, block: list[Block], conv2: Conv, channels: int) -> None:
        super().__init__()
        self.conv1, self.block, self.conv2 = conv1, nn.ModuleList(block), conv2
        self.snake1 = Snake(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for block in self.block:
            x = block(x)
        out: Tensor = self.conv2(self.snake1(x))
        return out


class Codebook(nn.Module):
    """One of the codebooks. Tensors: in_proj, out_proj, codebook.weight (codes, dim)."""

    def __init__(self, cfg: DacConfig) -> None:
        super().__init__()
        self.in_proj = Conv(cfg.hidden, cfg.codebook_dim, 1)
        self.out_proj = Conv(cfg.codebook_dim, cfg.hidden, 1)
        self.codebook = nn.Module()
        table = torch.empty(cfg.codebook_size, cfg.codebook_dim)
        self.codebook.weight = nn.Parameter(table, requires_grad=False)

    def vectors(self, codes: Tensor) -> Tensor:
        """codes: (frames) -> (hidden, frames)."""
        table: Any = self.codebook.weight
        out: Tensor = self.out_proj(table[codes].T)
        return out

    def nearest(self, x: Tensor) -> Tensor:
        """x: (hidden, frames) -> (frames), by the angle between vectors."""
        table: Any = self.codebook.weight
        given, table = F.normalize(self.in_proj(x).T), F.normalize(table)
        squares = given.square().sum(1, keepdim=True)
        distance: Tensor = -(squares - 2 * given @ table.T) + table.square().sum(1)
        return distance.argmax(1)


class Codebooks(nn.Module):
    """Tensors: quantizers.N."""

    def __init__(self, cfg: DacConfig) -> None:
        super().__init__()
        self.quantizers: Any = nn.ModuleList(Codebook(cfg) for _ in range(cfg.n_codebooks))


class Dac(nn.Module):
    """Sounds of one channel to codes and back. Tensors: encoder, quantizer, decoder."""

    def __init__(self, cfg: DacConfig) -> None:
        super().__init__()
        self.cfg = cfg
        first, wide, last = cfg.encoder_hidden_size, cfg.hidden, cfg.decoder_hidden_size
        down = [DownBlock(first << i, s) for i, s in enumerate(cfg.downsampling_ratios)]
        up = [UpBlock(last >> i, s) for i, s in enumerate(cfg.downsampling_ratios[::-1])]
        end = last >> len(up)
        self.encoder = Tower(Conv(1, first, 7, pad=3), [*down], Conv(wide, wide, 3, pad=1), wide)
        self.quantizer = Codebooks(cfg)
        self.decoder = Tower(Conv(wide, last, 7, pad=3), [*up], Conv(end, 1, 7, pad=3), end)

    def codes(self, sound: Tensor) -> Tensor:
        """sound: (samples), a multiple of `DacConfig.hop` -> (frames, codebooks) int64."""
        rest = self.encoder(sound[None])
        found = []
        for each in self.quantizer.quantizers:
            found.append(each.nearest(rest))
            rest = rest - each.vectors(found[-1])
        return torch.stack(found, 1)

    def sound(self, codes: Tensor) -> Tensor:
        """codes: (frames, codebooks) int64 -> (frames * hop) samples within -1 and 1."""
        books = self.quantizer.quantizers
        x = sum(book.vectors(codes[:, i]) for i, book in enumerate(books))
        out: Tensor = torch.tanh(self.decoder(x))[0]
        return out
