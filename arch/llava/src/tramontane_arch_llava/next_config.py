"""Configurations of LLaVA-NeXT: the shapes that an image is cut in."""

from typing import Literal, Self

from pydantic import Field, model_validator

from .config import LlavaConfig

Shape = tuple[int, int]
"""Height and width in pixels."""
PINPOINTS: tuple[Shape, ...] = ((336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008))


class LlavaNextConfig(LlavaConfig):
    vision_feature_select_strategy: Literal["default"] = "default"
    image_grid_pinpoints: tuple[Shape, ...] = Field(
        default=PINPOINTS, min_length=1, max_length=1024
    )

    @model_validator(mode="after")
    def _tiles(self) -> Self:
        side = self.vision_config.image_size
        for shape in self.image_grid_pinpoints:
            if any(each < side or each % side for each in shape):
                raise ValueError(
                    f"image_grid_pinpoints has {list(shape)}, whose sides are no multiples of "
                    f"image_size {side}"
                )
        return self

    def canvas(self, height: int, width: int) -> Shape:
        """The shape that shows most of an image of this height and width, the one with least beside
        it. Raises ValueError where none shows any."""
        best, shown = None, (0, 0)
        for high, wide in self.image_grid_pinpoints:
            scale = min(wide / width, high / height)
            seen = min(int(width * scale) * int(height * scale), width * height)
            if seen > 0 and (seen, seen - high * wide) > shown:
                best, shown = (high, wide), (seen, seen - high * wide)
        if best is None:
            raise ValueError(f"an image of {width} x {height} pixels is too long: crop it")
        return best

    def tile_rows(self, height: int, width: int) -> int:
        """Rows of the tiles of an image of this height and width, with the ends of lines."""
        top, bottom, left, right = self.kept(height, width)
        return (bottom - top) * (right - left + 1)

    def kept(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The patches of the canvas that an image covers: those of rows top..bottom and columns
        left..right, as (top, bottom, left, right)."""
        patch = self.vision_config
        rows, columns = (
            each // patch.image_size * patch.side for each in self.canvas(height, width)
        )
        if width / height > columns / rows:
            margin = (rows - int(round(height * (columns / width), 7))) // 2
            return margin, rows - margin, 0, columns
        margin = (columns - int(round(width * (rows / height), 7))) // 2
        return 0, rows, margin, columns - margin
