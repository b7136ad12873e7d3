"""How Llama 4 prepares images: as square tiles of a canvas, and the whole as one more.

Pixels are scaled and normalized in bfloat16, each step rounded.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import PixelSettings

from .llama4_vision import Llama4VisionConfig

Size = tuple[int, int]
"""Height and width."""
NEEDED = ("do_rescale", "do_normalize")


class Llama4Images(MediaProcessor):
    """The rows of an image are in runs, one for each tile, with a token behind each."""

    mark, row = "<|image|>", "<|patch|>"

    def __init__(self, cfg: Llama4VisionConfig, files: Mapping[str, Any]) -> None:
        told, vision = settings_of(files, "image_processor"), cfg.vision_config
        assert vision is not None
        if off := [name for name in NEEDED if told.get(name) is False]:
            raise ValueError(f"{off[0]} of false is not supported")
        side = vision.image_size
        size = told.get("size") or {"height": 336, "width": 336}
        if {size.get("height"), size.get("width")} != {side}:
            raise ValueError(f"tiles of {size} do not fit an encoder of {side} x {side}")
        for name, value in (
            ("patch_size", vision.patch_size),
            ("pixel_shuffle_ratio", vision.pixel_shuffle_ratio),
        ):
            if (said := files.get(name)) not in (None, value):
                raise ValueError(f"{name} {said} is not the encoder's, {value}")
        self.side, self.rows = side, vision.rows
        self.largest = bool(told.get("resize_to_max_canvas"))
        scale = float(told.get("rescale_factor") or 1 / 255)
        self.settings = PixelSettings.of(told, 2)._replace(scale=scale)
        self.grids = grids(int(told.get("max_patches") or 16))

    def prepare(self, pixels: Pixels) -> MediaItem:
        rows, columns = self.grid_of(*pixels.shape[:2])
        side, canvas = self.side, (rows * self.side, columns * self.side)
        high, wide = self.size_of(pixels.shape[:2], canvas)
        image = np.zeros((*canvas, 3), np.uint8)
        image[:high, :wide] = self.settings.resized(pixels, high, wide)
        squares = image.reshape(rows, side, columns, side, 3).swapaxes(1, 2)
        parts = list(squares.reshape(-1, side, side, 3))
        if len(parts) > 1:
            parts.append(self.settings.resized(pixels, side, side))
        tiles = np.stack([self.normalized(part) for part in parts])
        arrays = {"tiles": tiles, "grid": np.array([rows, columns])}
        return MediaItem("image", arrays, len(tiles) * self.rows)

    def grid_of(self, height: int, width: int) -> Size:
        """Rows and columns of tiles: those that an image is enlarged least for, or, where none has
        room for it, shrunk least; of several the smallest."""
        scales = np.minimum(
            _quotients(self.grids[:, 0] * self.side, height),
            _quotients(self.grids[:, 1] * self.side, width),
        )
        enough = scales[scales >= 1]
        best = scales.max()
        if len(enough) and not self.largest:
            best = enough.min()
        fitting = self.grids[scales == best]
        rows, columns = fitting[fitting.prod(1).argmin()]
        return int(rows), int(columns)

    def size_of(self, size: Size, canvas: Size) -> Size:
        """The height and width that an image has on its canvas, in its own proportions, enlarged to
        a tile at most.

        Rounded as transformers does: a side of the canvas is divided in float32, another in
        float64.
        """
        height, width = size
        bounds, quotients = [], []
        for given, most in zip(size, canvas, strict=True):
            least = max(given, self.side)
            bound = most if self.largest else min(least, most)
            cut = self.largest or most < least
            bounds.append(bound)
            quotients.append(np.float32(bound) / np.float32(given) if cut else bound / given)
        down, across = quotients
        if across < down:
            high, wide = min(math.floor(height * across), bounds[0]), bounds[1]
        else:
            high, wide = bounds[0], min(math.floor(width * down), bounds[1])
        return max(high, 1), max(wide, 1)

    def normalized(self, pixels: Pixels) -> np.ndarray[Any, np.dtype[np.float32]]:
        """(h, w, 3) uint8 -> (3, h, w) float32 that are bfloat16 numbers."""
        mean, std = (
            torch.tensor(list(each), dtype=torch.bfloat16)[:, None, None]
            for each in (self.settings.mean, self.settings.std)
        )
        channels = torch.from_numpy(pixels).permute(2, 0, 1).to(torch.bfloat16)
        out = (channels * self.settings.scale - mean) / std
        return np.ascontiguousarray(out.float().numpy())

    def written(self, item: MediaItem) -> str:
        """Each tile with a token behind it, another behind the last of a row; then the whole."""
        rows, columns = (int(number) for number in item.arrays["grid"])
        shown = self.row * self.rows
        line = "<|tile_x_separator|>".join([shown] * columns) + "<|tile_y_separator|>"
        tiles = line * rows if rows * columns > 1 else ""
        return f"<|image_start|>{tiles}<|image|>{shown}<|image_end|>"


def grids(most: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(n, 2): rows and columns of every canvas of at most `most` tiles, in transformers' order."""
    by_shape: dict[float, list[Size]] = {}
    for count in range(most, 0, -1):
        for rows in range(1, count + 1):
            if count % rows == 0:
                by_shape.setdefault(rows / (count // rows), []).append((rows, count // rows))
    return np.array([grid for same in by_shape.values() for grid in same])


def _quotients(sides: Any, side: int) -> Any:
    return sides.astype(np.float32) / np.float32(side)


def processor(cfg: Llama4VisionConfig, files: Mapping[str, Any]) -> MediaProcessor | None:
    """None where the checkpoint is of the language model alone."""
    return None if cfg.vision_config is None else Llama4Images(cfg, files)
