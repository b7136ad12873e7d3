"""LLaVA-NeXT: an image is seen whole, and once more in tiles; each row of patches of the tiles
together ends with a learned row."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tramontane.media.item import MediaItem
from tramontane.media.processor import Pixels, settings_of

from .images import ClipImages
from .model import Llava
from .next_config import LlavaNextConfig


class LlavaNext(Llava):
    """Tensor, beside LLaVA's: image_newline (hidden)."""

    cfg: LlavaNextConfig

    def __init__(self, cfg: LlavaNextConfig) -> None:
        super().__init__(cfg)
        self.image_newline = nn.Parameter(torch.empty(cfg.hidden_size), requires_grad=False)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        squares: list[Tensor] = []
        for pixels in arrays["pixels"]:
            for x in self.square(pixels):
                if x is None:
                    yield None
                else:
                    squares.append(x)
        height, width = (int(number) for number in arrays["size"])
        yield torch.cat((squares[0], self.joined(torch.stack(squares[1:]), height, width)))

    def joined(self, tiles: Tensor, height: int, width: int) -> Tensor:
        """The patches that an image of this height and width covers, row by row, each closed by
        image_newline: (tiles, patches, hidden) -> (rows, hidden)."""
        vision = self.cfg.vision_config
        down, across = (side // vision.image_size for side in self.cfg.canvas(height, width))
        grid = tiles.unflatten(1, (vision.side, vision.side)).unflatten(0, (down, across))
        plane = grid.permute(0, 2, 1, 3, 4).flatten(2, 3).flatten(0, 1)
        top, bottom, left, right = self.cfg.kept(height, width)
        plane = self.within(plane[top:bottom, left:right])
        ends = self.image_newline.to(plane.dtype).expand(len(plane), 1, -1)
        return torch.cat((plane, ends), 1).flatten(0, 1)

    def within(self, plane: Tensor) -> Tensor:
        """The patches of an image, (rows, columns, hidden), as many as the family keeps."""
        return plane


class LlavaNextImages(ClipImages):
    """An item has the whole image and its tiles, (1 + tiles, 3, side,
    side), and its size in pixels, (2)."""

    def __init__(self, cfg: LlavaNextConfig, files: Mapping[str, Any]) -> None:
        super().__init__(cfg, files)
        self.cfg = cfg
        told = settings_of(files, "image_processor").get("image_grid_pinpoints")
        if told is not None and tuple(map(tuple, told)) != cfg.image_grid_pinpoints:
            raise ValueError(
                f"image_grid_pinpoints {told} are others than in config.json, "
                f"{[list(shape) for shape in cfg.image_grid_pinpoints]}"
            )

    def prepare(self, pixels: Pixels) -> MediaItem:
        height, width = pixels.shape[:2]
        side = self.side
        canvas = self._on_canvas(pixels, *self.cfg.canvas(height, width))
        squares = [self.settings.resized(pixels, side, side)]
        squares += [
            canvas[top : top + side, left : left + side]
            for top in range(0, canvas.shape[0], side)
            for left in range(0, canvas.shape[1], side)
        ]
        arrays = {
            "pixels": np.stack([self.settings.normalized(square) for square in squares]),
            "size": np.array([height, width]),
        }
        return MediaItem("image", arrays, self.square_rows + self.cfg.tile_rows(height, width))

    def _on_canvas(self, pixels: Pixels, high: int, wide: int) -> Pixels:
        """The image in its proportions, as large as it fits, in the middle of black."""
        height, width = pixels.shape[:2]
        if wide / width < high / height:
            inner = min(math.ceil(height * (wide / width)), high), wide
        else:
            inner = high, min(math.ceil(width * (high / height)), wide)
        canvas = np.zeros((high, wide, 3), np.uint8)
        top, left = (high - inner[0]) // 2, (wide - inner[1]) // 2
        image = self.settings.resized(pixels, *inner)
        canvas[top : top + inner[0], left : left + inner[1]] = image
        return canvas
