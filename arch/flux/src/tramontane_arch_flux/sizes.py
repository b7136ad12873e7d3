"""The size of an image that is asked for."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from tramontane.errors import RequestError
from tramontane.tasks.image import ImageOptions

from .latents import GRID

SIDE = 1024
"""Pixels of the edges where nothing is said."""
MOST_PIXELS = 1 << 22


def size_of(
    options: ImageOptions, picture: npt.NDArray[np.uint8] | None, default: tuple[int, int]
) -> tuple[int, int]:
    """Width and height: as asked for, else those of a given picture (height, width, 3), reduced to
    SIDE x SIDE pixels at most, else `default`. Raises RequestError."""
    width, height = default
    if picture is not None:
        height, width = picture.shape[:2]
        by = min(1.0, math.sqrt(SIDE**2 / (height * width)))
        width, height = (max(GRID, int(each * by) // GRID * GRID) for each in (width, height))
    width, height = options.width or width, options.height or height
    for name, each in (("width", width), ("height", height)):
        if each % GRID:
            less = each // GRID * GRID
            raise RequestError(
                f"{name} {each} is no multiple of {GRID}: take {less or GRID} or {less + GRID}"
            )
    if width * height > MOST_PIXELS:
        raise RequestError(
            f"{width} x {height} are {width * height:,} pixels, more than {MOST_PIXELS:,} "
            "(2048 x 2048): ask for a smaller image"
        )
    return width, height
