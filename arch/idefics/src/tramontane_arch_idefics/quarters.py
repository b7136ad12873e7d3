"""How Idefics2 prepares images: whole, or as quarters and the whole, in their own proportions."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import PixelSettings

from .idefics2 import Idefics2Config
from .tiles import NEEDED

FAKE = "<fake_token_around_image>"


class Quarters(MediaProcessor):
    """An item has "part0" to "part4" where an image is split, else "part0", each (3, height,
    width)."""

    mark = row = "<image>"

    def __init__(self, cfg: Idefics2Config, files: Mapping[str, Any]) -> None:
        told = settings_of(files, "image_processor")
        if off := [name for name in NEEDED if told.get(name) is False]:
            raise ValueError(f"{off[0]} of false is not supported")
        self.patch = cfg.vision_config.patch_size
        size = told.get("size") or {"shortest_edge": 378, "longest_edge": 980}
        if {"shortest_edge", "longest_edge"} <= set(size):
            self.edges = int(size["shortest_edge"]), int(size["longest_edge"])
            smallest = min(self.edges)
            self.sides = None
        elif {"height", "width"} <= set(size):
            self.sides = int(size["height"]), int(size["width"])
            smallest = min(self.sides)
        else:
            raise ValueError(
                f"size {size} has neither shortest_edge and longest_edge nor height and width"
            )
        if smallest < self.patch:
            raise ValueError(f"size {size} is smaller than a patch of {self.patch} pixels")
        self.rows = cfg.perceiver_config.resampler_n_latents
        if (said := files.get("image_seq_len", self.rows)) != self.rows:
            raise ValueError(
                f"image_seq_len {said}, but the model gives {self.rows} rows of an image"
            )
        self.split = bool(told.get("do_image_splitting", False))
        scale = float(told.get("rescale_factor", 1 / 255))
        self.settings = PixelSettings.of(told, 2)._replace(scale=scale)

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """The height and width of the resize: within the edges, at the cost of proportions where
        both bind."""
        if self.sides is not None:
            return self.sides
        least, most = self.edges
        proportion = width / height
        if width >= height and width > most:
            height, width = int(most / proportion), most
        elif height > width and height > most:
            height, width = most, int(most * proportion)
        return max(height, least), max(width, least)

    def prepare(self, pixels: Pixels) -> MediaItem:
        parts = [pixels]
        if self.split:
            high, wide = (side // 2 for side in pixels.shape[:2])
            if not high or not wide:
                height, width = pixels.shape[:2]
                raise ValueError(
                    f"an image of {width} x {height} pixels cannot be split into quarters: give a "
                    "larger one"
                )
            halves = pixels[:high], pixels[high:]
            parts = [part for half in halves for part in (half[:, :wide], half[:, wide:])]
            parts.append(pixels)
        arrays = {
            f"part{number}": self.settings.normalized(
                self.settings.resized(part, *self.size_of(*part.shape[:2]))
            )
            for number, part in enumerate(parts)
        }
        return MediaItem("image", arrays, len(arrays) * self.rows)

    def written(self, item: MediaItem) -> str:
        """Between two parts of an image stands one token, as between two images."""
        shown = self.row * self.rows
        return FAKE + "".join(f"{shown}{FAKE}" for _ in item.arrays)

    def assembled(self, pieces: Sequence[str], written: Sequence[str]) -> str:
        """One token where an image follows another, and a space before a word that follows one."""
        text = super().assembled(pieces, written).replace(FAKE + FAKE, FAKE)
        return re.sub(rf"{re.escape(FAKE)}(?=[^\s<])", f"{FAKE} ", text)
