"""How Llama 3.2 Vision prepares images: on the canvas of tiles that they fill best."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import PixelSettings

from .mllama_config import MllamaConfig, arrangements

NEEDED = ("do_resize", "do_rescale", "do_normalize", "do_pad")


class MllamaImages(MediaProcessor):
    mark = row = "<|image|>"

    def __init__(self, cfg: MllamaConfig, files: Mapping[str, Any]) -> None:
        told, vision = settings_of(files, "image_processor"), cfg.vision_config
        if off := [name for name in NEEDED if told.get(name) is False]:
            raise ValueError(f"{off[0]} of false is not supported")
        self.tile, most = vision.image_size, vision.max_num_tiles
        size = told.get("size") or {"height": self.tile, "width": self.tile}
        if size.get("height") != self.tile or size.get("width") != self.tile:
            raise ValueError(f"size {size}, but the encoder takes {self.tile} x {self.tile} pixels")
        if (said := told.get("max_image_tiles", most)) != most:
            raise ValueError(f"max_image_tiles {said}, but the encoder takes {most}")
        self.ways = arrangements(most)
        self.rows = vision.side**2 + 1
        scale = float(told.get("rescale_factor", 1 / 255))
        self.settings = PixelSettings.of(told, 2)._replace(scale=scale)

    def way_of(self, height: int, width: int) -> int:
        """Which arrangement's canvas needs the least enlarging, or else the least shrinking; of
        those that need the same, the smallest."""
        sides = np.array(self.ways) * self.tile
        high, wide = sides[:, 0] / height, sides[:, 1] / width
        scales = np.where(wide > high, high, wide)
        larger = scales[scales >= 1]
        best = larger.min() if len(larger) else scales.max()
        chosen = np.flatnonzero(scales == best)
        return int(chosen[np.argmin(sides[chosen].prod(1))])

    def size_of(self, height: int, width: int, way: int) -> tuple[int, int]:
        """The height and width to which an image is resized to fit the canvas."""
        rows, columns = self.ways[way]
        high = min(max(height, self.tile), rows * self.tile)
        wide = min(max(width, self.tile), columns * self.tile)
        if wide / width < high / height:
            return min(math.floor(height * (wide / width)) or 1, high), wide
        return high, min(math.floor(width * (high / height)) or 1, wide)

    def prepare(self, pixels: Pixels) -> MediaItem:
        height, width = pixels.shape[:2]
        way = self.way_of(height, width)
        high, wide = self.size_of(height, width, way)
        rows, columns = self.ways[way]
        canvas = np.zeros((rows * self.tile, columns * self.tile, 3), np.uint8)
        canvas[:high, :wide] = self.settings.resized(pixels, high, wide)
        squares = canvas.reshape(rows, self.tile, columns, self.tile, 3).swapaxes(1, 2)
        squares = squares.reshape(-1, self.tile, self.tile, 3)
        tiles = np.stack([self.settings.normalized(square) for square in squares])
        arrays = {"tiles": tiles, "way": np.array(way + 1)}
        return MediaItem("image", arrays, rows=1, cross=len(tiles) * self.rows)

    def completed(self, text: str, bos: str | None) -> str:
        """With the first token, which stands behind images that the text begins with."""
        if bos is None or bos in text:
            return text
        rest = text
        while rest.startswith(self.row):
            rest = rest.removeprefix(self.row)
        return text[: len(text) - len(rest)] + bos + rest
