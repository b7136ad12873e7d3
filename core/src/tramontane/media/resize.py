"""Resizing and normalizing, in torch: the arithmetic of the usual processors.

torch resizes uint8 with antialiasing as torchvision does, bit for bit; Pillow's filters differ from
it by one or two of 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from .processor import Pixels

Filter = Literal["bilinear", "bicubic", "lanczos"]
RESAMPLE: dict[int, Filter] = {1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of filters, as `resample` in configurations has them."""


def resized(pixels: Pixels, height: int, width: int, how: Filter) -> Pixels:
    """(h, w, 3) uint8 -> (height, width, 3) uint8; as it is where the size is the same."""
    if pixels.shape[:2] == (height, width):
        return pixels
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    out = F.interpolate(image, (height, width), mode=how, antialias=True, align_corners=False)
    return np.ascontiguousarray(out[0].permute(1, 2, 0).numpy())


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
