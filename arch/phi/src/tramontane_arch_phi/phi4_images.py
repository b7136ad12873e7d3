"""How Phi-4-multimodal prepares images: as crops in a grid, with the whole as one more, and sounds
beside them."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tramontane.media.grids import closest, grids
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import PixelSettings, resized

from .marks import without_numbers
from .phi4_config import Phi4MultimodalConfig
from .phi4_sounds import Phi4Sounds

MOST = 128
"""Crops."""
LEAST = 10
"""Pixels of a side of an image in its grid."""
FILTERS = {2: "bilinear", 3: "bicubic"}
"""Of the whole image; crops are bilinear whatever is said."""
NEEDED = ("do_rescale", "do_normalize")


class Phi4Images(MediaProcessor):
    """An item has the whole image and its crops, (1 + crops, 3, side, side), and `grid` (4): crops
    down and across, and patches down and across that are not all white."""

    mark, row, spare_rows = "<|image|>", "<|endoftext10|>", ("<|image|>",)

    def __init__(self, cfg: Phi4MultimodalConfig, files: Mapping[str, Any]) -> None:
        told = {
            name: value
            for name, value in settings_of(files, "image_processor").items()
            if value is not None
        }
        if off := [name for name in NEEDED if not told.get(name, True)]:
            raise ValueError(f"{off[0]} of false is not supported")
        vision = cfg.vision_config
        self.side, self.patch, self.lines = vision.image_size, vision.patch_size, vision.side // 2
        size = told.get("size", {"height": 448, "width": 448}) if files else {}
        for name, wanted, said in (
            ("size.height", self.side, size.get("height", self.side)),
            ("size.width", self.side, size.get("width", self.side)),
            ("patch_size", self.patch, told.get("patch_size", 14 if files else self.patch)),
        ):
            if said != wanted:
                raise ValueError(f"{name} {said} is not the model's, {wanted}")
        self.most = int(told.get("dynamic_hd", 36))
        if not 1 <= self.most <= MOST:
            raise ValueError(f"dynamic_hd {self.most} is no number of crops from 1 to {MOST}")
        scale = float(told.get("rescale_factor", 1 / 255))
        self.settings = PixelSettings.of(told, 3)._replace(scale=scale)
        if (said := told.get("resample", 3)) not in FILTERS:
            raise ValueError(f"resample {said} is not supported, only 2 and 3")
        self.how = FILTERS[said]
        self.grids = grids(1, self.most)
        self.beside = (Phi4Sounds(cfg.audio_config, files),)

    def grid(self, height: int, width: int) -> list[int]:
        """Crops down and across: as many as it fills, or, if that is too many, of the proportions
        that are closest."""
        found = [math.ceil(length / self.side) for length in (height, width)]
        if math.prod(found) <= self.most:
            return found
        return closest(height, width, self.grids, self.side)

    def prepare(self, pixels: Pixels) -> MediaItem:
        height, width = pixels.shape[:2]
        down, across = self.grid(height, width)
        whole = (down * self.side, across * self.side)
        ratios = whole[0] / height, whole[1] / width
        if ratios[1] < ratios[0]:
            size = int(height * ratios[1]), whole[1]
        else:
            size = whole[0], int(width * ratios[0])
        if min(size) < LEAST:
            raise ValueError(
                f"an image of {width} x {height} pixels is too long: it would be {size[1]} x "
                f"{size[0]} for the encoder, which takes no side below {LEAST}; crop it"
            )
        canvas = np.full((*whole, 3), 255, np.uint8)
        canvas[: size[0], : size[1]] = resized(pixels, *size, "bilinear")
        plane = self.settings.normalized(canvas)
        side = (self.side, self.side)
        small = torch.from_numpy(plane)[None]
        if whole != side:
            small = F.interpolate(small, side, mode=self.how, align_corners=False)
        crops = plane.reshape(3, down, self.side, across, self.side).transpose(1, 3, 0, 2, 4)
        shown = [(all_of // self.patch) - (all_of - part) // self.patch
                 for all_of, part in zip(whole, size, strict=True)]  # fmt: skip
        arrays = {
            "pixels": np.concatenate((small.numpy(), crops.reshape(-1, 3, *side))),
            "grid": np.array([down, across, *shown]),
        }
        lines, columns = ((count + 1) // 2 for count in shown)
        return MediaItem("image", arrays, lines * (columns + 1) + 1 + self.lines * (self.lines + 1))

    def rendered(self, text: str) -> str:
        for each in (self, *self.beside):
            text = without_numbers(text, each.kind, each.mark)
        return text

    def together(self, items: Sequence[MediaItem]) -> Sequence[MediaItem]:
        """Sounds in a prompt with images are projected otherwise."""
        if all(item.kind != "image" for item in items):
            return items
        return [
            replace(item, arrays={**item.arrays, "images": np.array(True)})
            if item.kind == "audio" else item
            for item in items
        ]  # fmt: skip

    def adapter(self, kinds: Collection[str]) -> str | None:
        return "vision" if "image" in kinds else "speech" if "audio" in kinds else None
