"""How the vision models of Qwen prepare images: each in its own proportions, as patches."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tramontane.media.item import Media, MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import CLIP_MEAN, CLIP_STD, PixelSettings

from .vl2 import VLConfig

MOST_PROPORTION = 200
"""Long side of an image by its short side."""


class QwenImages(MediaProcessor):
    """Sizes are areas: `shortest_edge` and `longest_edge` of `size`,
    or `min_pixels` and `max_pixels`, in pixels."""

    mark = row = "<|image_pad|>"

    def __init__(self, cfg: VLConfig, files: Mapping[str, Any]) -> None:
        told, tower = settings_of(files, "image_processor"), cfg.vision_config  # type: ignore[attr-defined]
        self.patch, self.merge = tower.patch_size, tower.spatial_merge_size
        self.frames = tower.temporal_patch_size
        size = told.get("size") or {}
        self.least = int(told.get("min_pixels") or size.get("shortest_edge", 56 * 56))
        self.most = int(told.get("max_pixels") or size.get("longest_edge", 28 * 28 * 1280))
        self.settings = PixelSettings.of(told, 3, CLIP_MEAN, CLIP_STD)

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """The height and width that an image is resized to, multiples of a merged square's side.
        Raises ValueError for extreme proportions."""
        factor = self.patch * self.merge
        if max(height, width) > MOST_PROPORTION * min(height, width):
            raise ValueError(
                f"an image of {width} x {height} pixels is more than {MOST_PROPORTION} times as "
                "long as it is wide: crop it"
            )
        high, wide = (round(side / factor) * factor for side in (height, width))
        if high * wide > self.most:
            shrink = math.sqrt(height * width / self.most)
            high, wide = (
                max(factor, math.floor(side / shrink / factor) * factor) for side in (height, width)
            )
        elif high * wide < self.least:
            grow = math.sqrt(self.least / (height * width))
            high, wide = (math.ceil(side * grow / factor) * factor for side in (height, width))
        return high, wide

    def prepare(self, pixels: Pixels) -> MediaItem:
        high, wide = self.size_of(*pixels.shape[:2])
        image = self.settings.normalized(self.settings.resized(pixels, high, wide))
        rows, columns = high // self.patch, wide // self.patch
        squares = image.reshape(
            3, rows // self.merge, self.merge, self.patch, columns // self.merge, self.merge,
            self.patch,
        ).transpose(1, 4, 2, 5, 0, 3, 6)  # fmt: skip
        patches = squares.reshape(rows * columns, 3, 1, self.patch, self.patch)
        patches = np.repeat(patches, self.frames, 2).reshape(rows * columns, -1)
        arrays = {"patches": patches, "grid": np.array([rows, columns])}
        return MediaItem("image", arrays, rows * columns // self.merge**2)

    def positions(self, ids: Sequence[int], media: Media) -> npt.NDArray[np.int64]:
        """(3, tokens): an image's rows have the time of its first, and their row and column from
        there; what follows counts on from the largest."""
        found, place, here = np.empty((3, len(ids)), np.int64), 0, 0
        for run in media.runs:
            found[:, place : run.start] = np.arange(run.start - place) + here
            here += run.start - place
            rows, columns = (int(each) // self.merge for each in run.item.arrays["grid"])
            found[0, run.start : run.end] = here
            found[1, run.start : run.end] = here + np.repeat(np.arange(rows), columns)
            found[2, run.start : run.end] = here + np.tile(np.arange(columns), rows)
            here += max(rows, columns)
            place = run.end
        found[:, place:] = np.arange(len(ids) - place) + here
        return found


def processor(cfg: VLConfig, files: Mapping[str, Any]) -> MediaProcessor | None:
    """None where the checkpoint is of the language model alone."""
    return None if cfg.vision_config is None else QwenImages(cfg, files)  # type: ignore[attr-defined]
