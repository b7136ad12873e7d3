"""Resizing and normalizing, in torch: the arithmetic of the usual processors.

torch resizes uint8 with antialiasing as torchvision does, bit for bit; Pillow's filters differ from
it by one or two of 255.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from .processor import Pixels

Filter = Literal["bilinear", "bicubic", "lanczos"]
RESAMPLE: dict[int, Filter] = {1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of filters, as `resample` in configurations has them."""
HALF = (0.5, 0.5, 0.5)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def resized(pixels: Pixels, height: int, width: int, how: Filter) -> Pixels:
    """(h, w, 3) uint8 -> (height, width, 3) uint8; as it is where the size is the same."""
    if pixels.shape[:2] == (height, width):
        return pixels
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    out = F.interpolate(image, (height, width), mode=how, antialias=True, align_corners=False)
    return np.ascontiguousarray(out[0].permute(1, 2, 0).numpy())


def reduced(pixels: Pixels, edge: int) -> Pixels:
    """(h, w, 3) uint8 in the same proportions, the longest side `edge` pixels at most."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if longest <= edge:
        return pixels
    high, wide = (max(1, round(side * edge / longest)) for side in (height, width))
    return resized(pixels, high, wide, "bicubic")


def normalized(
    pixels: Pixels, mean: Sequence[float], std: Sequence[float], scale: float = 1 / 255
) -> npt.NDArray[np.float32]:
    """(h, w, 3) uint8 -> (3, h, w) float32, (pixels * scale - mean) / std, rounded as torchvision's
    processors round: scale goes into mean and std."""
    factor = np.float32(1.0 / scale)
    shift = (np.asarray(mean, np.float32) * factor)[:, None, None]
    spread = (np.asarray(std, np.float32) * factor)[:, None, None]
    channels = pixels.transpose(2, 0, 1).astype(np.float32)
    return np.asarray((channels - shift) / spread, np.float32)


def standardized(
    pixels: Pixels, mean: Sequence[float], std: Sequence[float]
) -> npt.NDArray[np.float32]:
    """(h, w, 3) uint8 -> (3, h, w) float32, (pixels / 255 - mean) / std, each step rounded, as
    torchvision's `ToTensor` and `Normalize` do."""
    parts = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    middle, spread = (np.asarray(each, np.float32)[:, None, None] for each in (mean, std))
    return np.asarray((parts - middle) / spread, np.float32)


class PixelSettings(NamedTuple):
    """How a family's pictures are resized and normalized. mean, std: of each channel."""

    how: Filter
    mean: Sequence[float]
    std: Sequence[float]
    scale: float = 1 / 255

    @classmethod
    def of(
        cls,
        told: Mapping[str, Any],
        resample: int,
        mean: Sequence[float] = HALF,
        std: Sequence[float] = HALF,
    ) -> PixelSettings:
        """As a checkpoint has them, or as given here where it says nothing."""
        how = RESAMPLE[told.get("resample", resample)]
        return cls(how, told.get("image_mean") or mean, told.get("image_std") or std)

    def resized(self, pixels: Pixels, height: int, width: int) -> Pixels:
        """(h, w, 3) -> (height, width, 3)."""
        return resized(pixels, height, width, self.how)

    def normalized(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """(h, w, 3) -> (3, h, w)."""
        return normalized(pixels, self.mean, self.std, self.scale)
