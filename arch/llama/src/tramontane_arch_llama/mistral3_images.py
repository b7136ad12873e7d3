"""How Mistral 3 prepares images: each in its own proportions, never enlarged beyond the next whole
square of patches."""

import math
from collections.abc import Mapping
from typing import Any

from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import CLIP_MEAN, CLIP_STD, PixelSettings

from .mistral3 import Mistral3Config

MOST = 1024
"""Pixels of the long side, where nothing is said of it."""


class Mistral3Images(MediaProcessor):
    """The rows of an image are in runs, one for each row of squares,
    with a token behind each."""

    mark = row = "[IMG]"

    def __init__(self, square: int, files: Mapping[str, Any]) -> None:
        """square: pixels of a merged square's side."""
        told = settings_of(files, "image_processor")
        for name in ("do_resize", "do_rescale", "do_normalize"):
            if not told.get(name, True):
                raise ValueError(f"{name} is false, which is not supported")
        size = told.get("size") or {}
        most = size.get("longest_edge", MOST)
        self.most = int(size.get("height", most)), int(size.get("width", most))
        self.square = square
        self.settings = PixelSettings.of(told, 3, CLIP_MEAN, CLIP_STD)

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """The height and width that an image is resized to, multiples of a square's side. Raises
        ValueError for extreme proportions."""
        ratio = max(height / self.most[0], width / self.most[1])
        sides = (height, width)
        if ratio > 1:
            sides = math.floor(height / ratio), math.floor(width / ratio)
        if min(sides) < 1:
            raise ValueError(f"an image of {width} x {height} pixels is too long: crop it")
        high, wide = (math.ceil(side / self.square) * self.square for side in sides)
        return high, wide

    def prepare(self, pixels: Pixels) -> MediaItem:
        high, wide = self.size_of(*pixels.shape[:2])
        image = self.settings.normalized(self.settings.resized(pixels, high, wide))
        return MediaItem("image", {"pixels": image}, high * wide // self.square**2)

    def written(self, item: MediaItem) -> str:
        high, wide = (side // self.square for side in item.arrays["pixels"].shape[1:])
        return "[IMG_BREAK]".join([self.row * wide] * high) + "[IMG_END]"


def processor(cfg: Mistral3Config, files: Mapping[str, Any]) -> MediaProcessor | None:
    """None where the checkpoint is of the language model alone."""
    if cfg.vision_config is None:
        return None
    return Mistral3Images(cfg.vision_config.patch_size * cfg.spatial_merge_size, files)
