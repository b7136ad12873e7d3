"""How LLaVA prepares images: the short side resized to the encoder's, the middle cut out."""

from collections.abc import Mapping
from typing import Any

from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import CLIP_MEAN, CLIP_STD, PixelSettings

from .config import LlavaConfig

MOST_PROPORTION = 200
"""Long side of an image by its short side: it is resized whole, before the middle is cut out."""


class ClipImages(MediaProcessor):
    """Squares of the encoder's size. Raises ValueError for settings that say another."""

    mark = row = "<image>"
    spare_rows = ("<unk>", "<|image_pad|>")
    steps: tuple[str, ...] = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")

    def __init__(self, cfg: LlavaConfig, files: Mapping[str, Any]) -> None:
        told = settings_of(files, "image_processor")
        self.side = cfg.vision_config.image_size
        for name in self.steps:
            if not told.get(name, True):
                raise ValueError(f"{name} is false, which is not supported")
        for name in ("size", "crop_size"):
            given = _sides(told.get(name) or self.side)
            if given != {self.side}:
                raise ValueError(
                    f"{name} {told[name]} does not fit an encoder of {self.side} x {self.side}"
                )
        self.square_rows = cfg.square_rows
        self.settings = PixelSettings.of(told, 3, CLIP_MEAN, CLIP_STD)


class LlavaImages(ClipImages):
    """Pixels are those of the middle square."""

    def __init__(self, cfg: LlavaConfig, files: Mapping[str, Any]) -> None:
        super().__init__(cfg, files)
        told = settings_of(files, "image_processor")
        if told.get("do_pad"):
            raise ValueError("do_pad, which pads images to squares, is not supported")
        size = told.get("size")
        self.squeezes = isinstance(size, Mapping) and "shortest_edge" not in size

    def prepare(self, pixels: Pixels) -> MediaItem:
        self.check(*pixels.shape[:2])
        square = self.settings.normalized(self.middle(pixels))
        return MediaItem("image", {"pixels": square}, self.square_rows)

    def whole(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the resized image that the middle is cut out of."""
        if self.squeezes:
            return self.side, self.side
        short = min(height, width)
        return self.side * height // short, self.side * width // short

    def check(self, height: int, width: int) -> None:
        """Raises ValueError where that is too large to be made."""
        if max(self.whole(height, width)) > MOST_PROPORTION * self.side:
            raise ValueError(
                f"an image of {width} x {height} pixels is more than {MOST_PROPORTION} times as "
                "long as it is wide: crop it"
            )

    def middle(self, pixels: Pixels) -> Pixels:
        """(height, width, 3) -> (side, side, 3)."""
        high, wide = self.whole(*pixels.shape[:2])
        top, left = (high - self.side) // 2, (wide - self.side) // 2
        whole = self.settings.resized(pixels, high, wide)
        return whole[top : top + self.side, left : left + self.side]


def _sides(size: Any) -> set[int]:
    """The sides that a `size` says, which may be a number."""
    if isinstance(size, Mapping):
        return {int(value) for value in size.values()}
    return {int(size)}
