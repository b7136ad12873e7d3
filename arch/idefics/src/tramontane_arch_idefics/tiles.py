"""How Idefics3 and SmolVLM prepare images: as square tiles, and the whole as one more."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import PixelSettings

from .model import Idefics3Config

LONGEST = 4096
"""Pixels of a side that no image is resized beyond."""
NEEDED = ("do_resize", "do_rescale", "do_normalize")


class Tiles(MediaProcessor):
    mark = row = "<image>"

    def __init__(self, cfg: Idefics3Config, files: Mapping[str, Any]) -> None:
        told, vision = settings_of(files, "image_processor"), cfg.vision_config
        if off := [name for name in NEEDED if told.get(name) is False]:
            raise ValueError(f"{off[0]} of false is not supported")
        size = told.get("size") or {"longest_edge": 4 * vision.image_size}
        if "longest_edge" not in size:
            raise ValueError(f"size {size} has no longest_edge")
        self.longest = int(size["longest_edge"])
        self.tile = int(
            (told.get("max_image_size") or {"longest_edge": vision.image_size})["longest_edge"]
        )
        if self.tile // vision.patch_size != vision.side:
            raise ValueError(
                f"tiles of max_image_size {self.tile} do not fit an encoder of "
                f"{vision.image_size} x {vision.image_size}"
            )
        self.rows = (vision.side // cfg.scale_factor) ** 2
        if (said := files.get("image_seq_len", self.rows)) != self.rows:
            raise ValueError(
                f"image_seq_len {said}, but the model gives {self.rows} rows of a tile"
            )
        self.split = told.get("do_image_splitting", True) is not False
        scale = float(told.get("rescale_factor", 1 / 255))
        self.settings = PixelSettings.of(told, 1)._replace(scale=scale)

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """The height and width of the first resize: the longest edge as told, the other even."""
        proportion = width / height
        if width >= height:
            width, height = self.longest, int(self.longest / proportion)
            height += height % 2
        else:
            height, width = self.longest, int(self.longest * proportion)
            width += width % 2
        height, width = max(height, 1), max(width, 1)
        proportion = width / height
        if width >= height and width > LONGEST:
            width, height = LONGEST, int(LONGEST / proportion)
        elif height > width and height > LONGEST:
            height, width = LONGEST, int(LONGEST * proportion)
        return max(height, 1), max(width, 1)

    def whole_tiles(self, height: int, width: int) -> tuple[int, int]:
        """The height and width of the second resize, multiples of a tile's side."""
        proportion = width / height
        if width >= height:
            width = math.ceil(width / self.tile) * self.tile
            height = math.ceil(int(width / proportion) / self.tile) * self.tile
        else:
            height = math.ceil(height / self.tile) * self.tile
            width = math.ceil(int(height * proportion) / self.tile) * self.tile
        return height, width

    def prepare(self, pixels: Pixels) -> MediaItem:
        high, wide = self.size_of(*pixels.shape[:2])
        image = self.settings.resized(pixels, high, wide)
        rows = columns = 0
        parts = []
        if self.split:
            high, wide = self.whole_tiles(high, wide)
            image = self.settings.resized(image, high, wide)
            if max(high, wide) > self.tile:
                rows, columns = high // self.tile, wide // self.tile
                squares = image.reshape(rows, self.tile, columns, self.tile, 3).swapaxes(1, 2)
                parts = list(squares.reshape(-1, self.tile, self.tile, 3))
        parts.append(self.settings.resized(image, self.tile, self.tile))
        tiles = np.stack([self.settings.normalized(part) for part in parts])
        arrays = {"tiles": tiles, "grid": np.array([rows, columns])}
        return MediaItem("image", arrays, len(tiles) * self.rows)

    def written(self, item: MediaItem) -> str:
        """Each row of tiles is a line, then an empty line and the whole image; the whole image
        alone where it was not cut."""
        fake, shown = "<fake_token_around_image>", self.row * self.rows
        rows, columns = (int(number) for number in item.arrays["grid"])
        lines = [
            "".join(f"{fake}<row_{row}_col_{column}>{shown}" for column in range(1, columns + 1))
            for row in range(1, rows + 1)
        ]
        if lines:
            lines.append("")
        return "\n".join([*lines, f"{fake}<global-img>{shown}{fake}"])
