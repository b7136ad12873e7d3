"""Configurations of LLaVA-OneVision: how many patches of an image's tiles are kept."""

import math
from typing import Any, Literal

from pydantic import Field
from tramontane.blocks.vision import VisionConfig

from .next_config import LlavaNextConfig, Shape

SIGLIP: dict[str, Any] = {
    "hidden_size": 1152, "intermediate_size": 4304, "patch_size": 14, "image_size": 384,
    "num_hidden_layers": 26, "num_attention_heads": 16,
}  # fmt: skip
SIDES = tuple(range(384, 2305, 384))
PINPOINTS: tuple[Shape, ...] = tuple((high, wide) for high in SIDES for wide in SIDES)
ENOUGH = 1.1
"""What sides of tiles are not made smaller by."""


class SiglipConfig(VisionConfig):
    """The fields of `vision_config` of SigLIP."""

    model_type: Literal["siglip_vision_model"] = "siglip_vision_model"


class OnevisionConfig(LlavaNextConfig):
    """vision_aspect_ratio: behind its name the most squares of patches that tiles together keep."""

    vision_config: SiglipConfig = Field(  # type: ignore[assignment]
        default_factory=lambda: SiglipConfig(**SIGLIP)
    )
    vision_feature_layer: int | tuple[int, ...] = -1
    vision_feature_select_strategy: Literal["full"] = "full"  # type: ignore[assignment]
    image_grid_pinpoints: tuple[Shape, ...] = Field(
        default=PINPOINTS, min_length=1, max_length=1024
    )
    vision_aspect_ratio: str = Field(
        default="anyres_max_9", pattern=r"^anyres_max_[1-9]\d{0,3}$", strict=True
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if values.setdefault("model_type", "qwen2") == "llava_onevision":
            values["model_type"] = "qwen2"  # nothing is said of the text's
        super().derive(values)

    @property
    def square_rows(self) -> int:
        """Rows of an encoded square: SigLIP has no class token."""
        return self.vision_config.side**2

    @property
    def frame_side(self) -> int:
        """Rows in a line of a frame."""
        return math.ceil(self.vision_config.side / 2)

    def smaller(self, rows: int, columns: int) -> tuple[int, int]:
        """What so many patches of tiles are resized to."""
        most = int(self.vision_aspect_ratio.removeprefix("anyres_max_"))
        ratio = math.sqrt(rows * columns / (most * self.vision_config.side**2))
        return (int(rows // ratio), int(columns // ratio)) if ratio > ENOUGH else (rows, columns)

    def tile_rows(self, height: int, width: int) -> int:
        top, bottom, left, right = self.kept(height, width)
        rows, columns = self.smaller(bottom - top, right - left)
        return rows * (columns + 1)
