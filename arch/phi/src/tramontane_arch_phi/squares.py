"""How Phi-3 vision prepares images: as squares in a grid, and the whole as one more."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import CLIP_MEAN, CLIP_STD, PixelSettings, standardized

from .marks import without_numbers
from .vision import Phi3VisionConfig

BOS = "<s>"


class Squares(MediaProcessor):
    """An item has the whole image and its squares, (1 + squares, 3, side, side), and their grid,
    (2): down, across."""

    mark = row = "<|image|>"

    def __init__(self, cfg: Phi3VisionConfig, files: Mapping[str, Any]) -> None:
        told = settings_of(files, "image_processor")
        self.side, self.lines = cfg.vision_config.image_size, cfg.lines
        self.most = int(told.get("num_crops") or 1)
        if self.most < 1:
            raise ValueError(f"num_crops {self.most} is less than 1")
        if (said := told.get("num_img_tokens", self.lines**2)) != self.lines**2:
            raise ValueError(
                f"num_img_tokens {said}, but the model gives {self.lines**2} rows of a square"
            )
        self.settings = PixelSettings.of(told, 2, CLIP_MEAN, CLIP_STD)

    def on_canvas(self, pixels: Pixels) -> Pixels:
        """A wide image, as large as it fits into `most` squares, in the middle of white."""
        height, width = pixels.shape[:2]
        proportion, across = width / height, 1
        while (across + 1) * math.ceil((across + 1) / proportion) <= self.most:
            across += 1
        wide = across * self.side
        high = int(wide / proportion)
        if not high:
            raise ValueError(
                f"an image of {width} x {height} pixels is too long for squares of {self.side}: "
                "crop it"
            )
        canvas = np.full((math.ceil(high / self.side) * self.side, wide, 3), 255, np.uint8)
        top = (len(canvas) - high) // 2
        canvas[top : top + high] = self.settings.resized(pixels, high, wide)
        return canvas

    def prepare(self, pixels: Pixels) -> MediaItem:
        upright = pixels.shape[0] > pixels.shape[1]
        canvas = self.on_canvas(pixels.transpose(1, 0, 2) if upright else pixels)
        canvas = canvas.transpose(1, 0, 2) if upright else canvas
        plane = standardized(canvas, self.settings.mean, self.settings.std)
        side = self.side
        down, across = (length // side for length in canvas.shape[:2])
        whole = F.interpolate(torch.from_numpy(plane)[None], (side, side), mode="bicubic")
        squares = plane.reshape(3, down, side, across, side).transpose(1, 3, 0, 2, 4)
        arrays = {
            "pixels": np.concatenate((whole.numpy(), squares.reshape(-1, 3, side, side))),
            "grid": np.array([down, across]),
        }
        lines = self.lines
        rows = down * lines * (across * lines + 1) + 1 + lines * (lines + 1)
        return MediaItem("image", arrays, rows)

    def rendered(self, text: str) -> str:
        return without_numbers(text, self.kind, self.mark)

    def assembled(self, pieces: Sequence[str], written: Sequence[str]) -> str:
        """The original encodes each piece by itself, and each begins with BOS."""
        begun = [piece if piece.startswith(BOS) else BOS + piece for piece in pieces]
        return super().assembled(begun, written)
