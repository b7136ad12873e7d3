"""LLaVA-OneVision: SigLIP's encoder, one image in tiles or several whole, and videos."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tramontane.errors import RequestError
from tramontane.media.item import MediaItem
from tramontane.media.processor import Pixels

from .images import LlavaImages
from .next import LlavaNext, LlavaNextImages
from .onevision_config import OnevisionConfig
from .siglip import SiglipFeatures
from .videos import LlavaVideos

STEPS = ("do_resize", "do_rescale", "do_normalize")


MOST_PIXELS = 1 << 27
"""Of the square that an image is padded to."""


def stretched(plane: Tensor, high: int, wide: int) -> Tensor:
    """(rows, columns, hidden) -> (high, wide, hidden), between neighbours where it falls."""
    whole = plane.permute(2, 0, 1)[None]
    return F.interpolate(whole, (high, wide), mode="bilinear")[0].permute(1, 2, 0)


class Onevision(LlavaNext):
    cfg: OnevisionConfig

    def __init__(self, cfg: OnevisionConfig) -> None:
        super().__init__(cfg)
        self.vision_tower = SiglipFeatures(cfg.vision_config, cfg.features)  # type: ignore[assignment]

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        if kind == "video":
            return self.squares(arrays["frames"], self.cfg.frame_side)
        if "size" not in arrays:  # one of several
            return self.squares(arrays["whole"][None], self.cfg.vision_config.side)
        return super().encode(kind, arrays)

    def squares(self, pixels: Tensor, to: int) -> Iterator[Tensor | None]:
        """Each square with to * to rows, then image_newline: (squares, 3, side, side) -> None after
        each layer, and last (rows, hidden)."""
        found: list[Tensor] = []
        side = self.cfg.vision_config.side
        for square in pixels:
            for x in self.square(square):
                if x is not None:
                    plane = x.unflatten(0, (side, side))
                    found.append((plane if to == side else stretched(plane, to, to)).flatten(0, 1))
                yield None
        yield torch.cat([*found, self.image_newline.to(found[0].dtype)[None]])

    def within(self, plane: Tensor) -> Tensor:
        rows, columns = plane.shape[:2]
        high, wide = self.cfg.smaller(rows, columns)
        return plane if (high, wide) == (rows, columns) else stretched(plane, high, wide)


class Squeezed(LlavaImages):
    """Frames are squeezed to squares, whole."""

    steps = STEPS

    def __init__(self, cfg: OnevisionConfig, files: Mapping[str, Any]) -> None:
        super().__init__(cfg, files)
        self.squeezes = True


class OnevisionVideos(LlavaVideos):
    Images = Squeezed

    def rows(self, count: int) -> int:
        return super().rows(count) + 1


class OnevisionImages(LlavaNextImages):
    """An item is prepared both ways, until it is known how many images its prompt has."""

    steps = STEPS
    cfg: OnevisionConfig

    def __init__(self, cfg: OnevisionConfig, files: Mapping[str, Any]) -> None:
        super().__init__(cfg, files)
        self.beside = (OnevisionVideos(cfg, files, cfg.frame_side**2),)

    def prepare(self, pixels: Pixels) -> MediaItem:
        item = super().prepare(pixels)
        if max(pixels.shape) ** 2 > MOST_PIXELS:
            return item
        whole = self.settings.resized(self._squared(pixels), self.side, self.side)
        return replace(item, arrays={**item.arrays, "whole": self.settings.normalized(whole)})

    def _squared(self, pixels: Pixels) -> Pixels:
        """The image in the middle of a square of the mean colour."""
        height, width = pixels.shape[:2]
        side = max(height, width)
        colour = [int(each * 255) for each in self.settings.mean]
        square = np.broadcast_to(np.array(colour, np.uint8), (side, side, 3)).copy()
        top, left = (side - height) // 2, (side - width) // 2
        square[top : top + height, left : left + width] = pixels
        return square

    def together(self, items: Sequence[MediaItem]) -> Sequence[MediaItem]:
        """One image of a prompt is seen in tiles; several are each seen whole."""
        alone = sum(item.kind == "image" for item in items) == 1
        return [self._placed(item, alone) if item.kind == "image" else item for item in items]

    def _placed(self, item: MediaItem, alone: bool) -> MediaItem:
        arrays = item.arrays
        if alone:
            kept = {name: arrays[name] for name in ("pixels", "size")}
            return replace(item, arrays=kept)
        if "whole" not in arrays:
            height, width = arrays["size"].tolist()
            raise RequestError(
                f"an image of {width} x {height} pixels is too long to be one of several, which "
                f"are padded to squares of at most {MOST_PIXELS:,} pixels: crop it, or make it "
                "smaller"
            )
        return replace(item, arrays={"whole": arrays["whole"]}, rows=self.square_rows + 1)
