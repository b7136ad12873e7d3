"""Pictures as the patches that the vision models of Qwen take, in a size that is an area's."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tramontane.media.processor import Pixels
from tramontane.media.resize import PixelSettings

from .vl2 import VLConfig

MOST_PROPORTION = 200
"""Long side of a picture by its short side."""


def size_within(
    height: int, width: int, factor: int, least: float, most: float, frames: int = 1, step: int = 1
) -> tuple[int, int]:
    """Height and width, multiples of `factor`, of an area within `least` and `most`; that of
    `frames` together, where their number counts as a multiple of `step`. Raises ValueError for
    extreme proportions."""
    if max(height, width) > MOST_PROPORTION * min(height, width):
        raise ValueError(
            f"an image of {width} x {height} pixels is more than {MOST_PROPORTION} times as long "
            "as it is wide: crop it"
        )
    high, wide = (round(side / factor) * factor for side in (height, width))
    counted = round(frames / step) * step
    if counted * high * wide > most:
        shrink = math.sqrt(frames * height * width / most)
        high, wide = (
            max(factor, math.floor(side / shrink / factor) * factor) for side in (height, width)
        )
    elif counted * high * wide < least:
        grow = math.sqrt(least / (frames * height * width))
        high, wide = (math.ceil(side * grow / factor) * factor for side in (height, width))
    return high, wide


class Patching(NamedTuple):
    """patch: pixels of a patch's side. merge: patches of a merged square's side. frames: pictures
    of a patch, one after another."""

    patch: int
    merge: int
    frames: int
    pixels: PixelSettings

    @classmethod
    def of(cls, cfg: VLConfig, pixels: PixelSettings) -> "Patching":
        tower: Any = cfg.vision_config  # type: ignore[attr-defined]
        return cls(tower.patch_size, tower.spatial_merge_size, tower.temporal_patch_size, pixels)

    @property
    def factor(self) -> int:
        """Pixels of a merged square's side."""
        return self.patch * self.merge

    def patches(self, pictures: list[Pixels]) -> Mapping[str, npt.NDArray[Any]]:
        """Pictures of one size, resized already: patches (times * rows * columns, numbers), those
        of a merged square one after another; grid (times, rows, columns). A last time that is not
        full has its last picture again."""
        pictures = [*pictures, *[pictures[-1]] * (-len(pictures) % self.frames)]
        planes = np.stack([self.pixels.normalized(picture) for picture in pictures])
        high, wide = planes.shape[2:]
        times, rows, columns = len(planes) // self.frames, high // self.patch, wide // self.patch
        squares = planes.reshape(
            times, self.frames, 3, rows // self.merge, self.merge, self.patch,
            columns // self.merge, self.merge, self.patch,
        ).transpose(0, 3, 6, 4, 7, 2, 1, 5, 8)  # fmt: skip
        return {
            "patches": squares.reshape(times * rows * columns, -1),
            "grid": np.array([times, rows, columns]),
        }
