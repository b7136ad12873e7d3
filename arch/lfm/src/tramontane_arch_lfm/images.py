"""How LFM2-VL prepares images: in their own proportions, and large ones as square tiles, with the
whole as one more."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from tramontane.media.grids import closest, grids
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import PixelSettings

from .vision import LfmVisionConfig

Size = tuple[int, int]
"""Height and width."""
NEEDED = ("do_rescale", "do_normalize")


class LfmImages(MediaProcessor):
    mark = row = "<image>"

    def __init__(self, cfg: LfmVisionConfig, files: Mapping[str, Any]) -> None:
        told = {
            name: value
            for name, value in settings_of(files, "image_processor").items()
            if value is not None
        }
        if off := [name for name in NEEDED if not told.get(name, True)]:
            raise ValueError(f"{off[0]} of false is not supported")
        patch, factor = cfg.vision_config.patch_size, cfg.downsample_factor
        for name, default, wanted in (
            ("encoder_patch_size", 16, patch),
            ("downsample_factor", 2, factor),
        ):
            if (said := told.get(name, default)) != wanted:
                raise ValueError(f"{name} {said} is not the model's, {wanted}")
        self.patch, self.square = patch, patch * factor
        """Pixels of a side, of a patch and of what one row stands for."""
        self.tile = int(told.get("tile_size", 512))
        self.fewest = int(told.get("min_image_tokens", 64))
        self.most = int(told.get("max_image_tokens", 256))
        self.tolerance = float(told.get("max_pixels_tolerance", 2.0))
        least, most = int(told.get("min_tiles", 2)), int(told.get("max_tiles", 10))
        self.split = bool(told.get("do_image_splitting", True)) and (least, most) != (1, 1)
        if self.split and self.tile % self.square:
            raise ValueError(f"tile_size {self.tile} is no multiple of {self.square} pixels")
        if self.split and least > most:
            raise ValueError(f"min_tiles {least} is more than max_tiles {most}")
        self.grids = grids(least, most)
        self.whole = bool(told.get("use_thumbnail", True))
        self.told = files.get("use_image_special_tokens") is not False
        self.per_tile = (self.tile // self.square) ** 2
        self.longest = max(self.most, self.per_tile if self.split else 0)
        scale = float(told.get("rescale_factor", 1 / 255))
        self.settings = PixelSettings.of(told, 2)._replace(scale=scale)

    def size_of(self, height: int, width: int) -> Size:
        """The height and width of the whole, multiples of a square's side. Raises ValueError for
        extreme proportions."""
        square, area = self.square, self.square**2
        high, wide = (max(square, round(side / square) * square) for side in (height, width))
        if high * wide > self.most * area:
            shrunk = math.sqrt((height * width) / (self.most * area))
            high, wide = (
                max(square, math.floor(side / shrunk / square) * square) for side in (height, width)
            )
        elif high * wide < self.fewest * area:
            grown = math.sqrt(self.fewest * area / (height * width))
            high, wide = (math.ceil(side * grown / square) * square for side in (height, width))
        if high * wide > self.longest * area:
            raise ValueError(
                f"an image of {width} x {height} pixels is too long: it would be {wide} x {high} "
                f"for the encoder, which takes {self.longest * area} pixels; crop it"
            )
        return high, wide

    def is_large(self, height: int, width: int) -> bool:
        """Whether it is cut into tiles."""
        high, wide = (
            max(self.patch, round(side / self.square) * self.square) for side in (height, width)
        )
        return high * wide > self.most * self.square**2 * self.tolerance

    def prepare(self, pixels: Pixels) -> MediaItem:
        size, side = pixels.shape[:2], self.tile
        rows = columns = 1
        tiles = np.zeros((0, 3, side, side), np.float32)
        if self.split and self.is_large(*size):
            rows, columns = closest(size[0], size[1], self.grids, side)
            canvas = self.settings.resized(pixels, rows * side, columns * side)
            squares = canvas.reshape(rows, side, columns, side, 3).swapaxes(1, 2)
            squares = squares.reshape(-1, side, side, 3)
            tiles = np.stack([self.settings.normalized(each) for each in squares])
        arrays = {"tiles": tiles, "grid": np.array([rows, columns])}
        count = len(tiles) * self.per_tile
        if not count or (self.whole and len(tiles) > 1):
            high, wide = self.size_of(*size)
            arrays["whole"] = self.settings.normalized(self.settings.resized(pixels, high, wide))
            count += high * wide // self.square**2
        return MediaItem("image", arrays, count)

    def written(self, item: MediaItem) -> str:
        """Tiles row by row with a token before each, then the whole with another."""
        if not self.told:
            return self.row * item.rows
        rows, columns = (int(number) for number in item.arrays["grid"])
        each = self.row * self.per_tile
        tiles = "".join(
            f"<|img_row_{row}_col_{column}|>{each}"
            for row in range(1, rows + 1)
            for column in range(1, columns + 1)
        )
        if rows * columns == 1:
            return f"<|image_start|>{self.row * item.rows}<|image_end|>"
        rest = self.row * (item.rows - tiles.count(self.row))
        return f"<|image_start|>{tiles}{'<|img_thumbnail|>' if rest else ''}{rest}<|image_end|>"
