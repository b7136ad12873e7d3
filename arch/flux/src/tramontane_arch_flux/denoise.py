"""From noise, or an image with noise, to latents and pixels, step by step."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from tramontane.blocks.vision import Parts

from .config import ScheduleConfig
from .latents import GRID, noise, packed, unpacked
from .prompts import Encoded
from .schedule import sigmas
from .transformer import FluxTransformer
from .vae import Vae

PREVIEW = 32
"""Latents of a preview's longer edge."""


@dataclass(frozen=True)
class Asked:
    """What one image is made by. strength: of an image that is given, None without one."""

    width: int
    height: int
    steps: int
    guidance: float
    seed: int
    strength: float | None = None

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the transformer's rows."""
        return self.height // GRID, self.width // GRID

    def sigmas(self, schedule: ScheduleConfig) -> Tensor:
        rows, columns = self.grid
        strength = 1.0 if self.strength is None else self.strength
        return sigmas(schedule, self.steps, rows * columns, strength)


def denoised(
    transformer: FluxTransformer,
    vae: Vae,
    schedule: ScheduleConfig,
    encoded: Encoded,
    asked: Asked,
    moments: Tensor | None,
    told: Callable[[int, Tensor, Tensor], Generator[Any, None, None]],
) -> Generator[Any, None, Tensor]:
    """Latents (1, channels, h, w), in float32. moments: what `Vae.encode` made of an image. told:
    called after each step with how many are done, the latents, and what they would become at once,
    as rows; what it yields is yielded."""
    cfg, scale = vae.cfg, vae.cfg.scale
    generator = torch.Generator().manual_seed(asked.seed)
    left = asked.sigmas(schedule)
    # the order of the two draws is that of diffusers
    given = None if moments is None else vae.draw(moments, generator).float()
    x = noise(generator, cfg.latent_channels, asked.height, asked.width, scale)
    x = x.to(encoded.rows.device)
    if given is not None:
        x = left[0] * x + (1.0 - left[0]) * given
    rows = packed(x)
    dtype = encoded.rows.dtype
    for index, (now, later) in enumerate(pairwise(left)):
        way = yield from transformer.parts(
            rows.to(dtype), asked.grid, encoded.rows, encoded.pooled, float(now), asked.guidance
        )
        way = way.float()
        clean = rows - now * way
        rows = rows + (later - now) * way
        yield from told(index + 1, rows, clean)
    return unpacked(rows, asked.height // scale, asked.width // scale)


def pixels_in(picture: npt.NDArray[np.uint8], width: int, height: int) -> Tensor:
    """A picture (height, width, 3) in another size, as the encoder takes it: (1, 3, height, width)
    from -1 to 1. Resized by Pillow's Lanczos, as diffusers does."""
    from PIL import Image

    image = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
    numbers = np.array(image).astype(np.float32) / 255.0
    return 2.0 * torch.from_numpy(numbers).permute(2, 0, 1)[None] - 1.0


def picture_of(pixels: Tensor) -> npt.NDArray[np.uint8]:
    """(1, 3, height, width) from -1 to 1 -> (height, width, 3)."""
    numbers = (pixels[0].float() / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    found: npt.NDArray[np.uint8] = (numbers * 255).round().astype(np.uint8)
    return found


def preview(vae: Vae, rows: Tensor, h: int, w: int) -> Parts:
    """What latents show, small: decoded from fewer of them. (1, 3, height, width)."""
    latents = unpacked(rows, h, w)
    by = max(1, -(-max(h, w) // PREVIEW))
    if by > 1:
        latents = F.avg_pool2d(latents, by, ceil_mode=True)
    return (yield from vae.decode(latents.to(next(vae.parameters()).dtype)))
