"""Latents: their noise, and how 2 x 2 of them become a row of the transformer."""

from __future__ import annotations

import torch
from torch import Tensor

GRID = 16
"""Pixels of the edge of what one row stands for: sizes are multiples of it."""


def noise(generator: torch.Generator, channels: int, height: int, width: int, scale: int) -> Tensor:
    """Numbers from torch's generator on the CPU, in float32, as diffusers draws them: (1, channels,
    height / scale, width / scale). height, width: of the image, in pixels."""
    shape = (1, channels, height // scale, width // scale)
    return torch.randn(shape, generator=generator, dtype=torch.float32)


def packed(latents: Tensor) -> Tensor:
    """(1, channels, h, w) -> (h / 2 * w / 2, channels * 4), in the order channel, row, column."""
    _, channels, h, w = latents.shape
    squares = latents.view(channels, h // 2, 2, w // 2, 2).permute(1, 3, 0, 2, 4)
    return squares.reshape(h // 2 * (w // 2), channels * 4)


def unpacked(rows: Tensor, h: int, w: int) -> Tensor:
    """(h / 2 * w / 2, channels * 4) -> (1, channels, h, w)."""
    squares = rows.view(h // 2, w // 2, -1, 2, 2).permute(2, 0, 3, 1, 4)
    return squares.reshape(1, -1, h, w)


def turns(text: int, h: int, w: int, axes: tuple[int, ...], theta: float = 10_000.0) -> Tensor:
    """By how much each row's pairs of numbers are turned, as complex numbers (text + h * w, 1,
    sum(axes) / 2). Texts stand at (0, 0, 0), a square of the image at (0, row, column); axes: how
    many numbers of a head each of the three turns."""
    places = torch.zeros(text + h * w, 3, dtype=torch.float64)
    places[text:, 1] = torch.arange(h).repeat_interleave(w)
    places[text:, 2] = torch.arange(w).repeat(h)
    angles = [
        torch.outer(places[:, axis], 1.0 / theta ** (torch.arange(0, n, 2).double() / n))
        for axis, n in enumerate(axes)
    ]
    angle = torch.cat(angles, 1)
    return torch.complex(angle.cos().float(), angle.sin().float())[:, None]
