"""LLaVA-NeXT-Video: LLaVA-NeXT, and of videos each frame, whose patches are pooled in squares
before they go through its two matrices."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from .next import LlavaNext, LlavaNextImages
from .next_config import LlavaNextConfig
from .videos import LlavaVideos


class LlavaNextVideoConfig(LlavaNextConfig):
    """spatial_pool_stride: patches in a row of a square that is one row of the prompt."""

    spatial_pool_mode: Literal["average", "max"] = "average"
    spatial_pool_stride: int = Field(default=2, gt=0, le=2**10, strict=True)

    @property
    def frame_rows(self) -> int:
        """Rows of a frame."""
        return (self.vision_config.side // self.spatial_pool_stride) ** 2

    @model_validator(mode="after")
    def _pools(self) -> Self:
        if not self.frame_rows:
            raise ValueError(
                f"spatial_pool_stride {self.spatial_pool_stride} is more than the "
                f"{self.vision_config.side} patches in a row of a frame"
            )
        return self


class LlavaNextVideo(LlavaNext):
    cfg: LlavaNextVideoConfig

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        return self.video(arrays["frames"]) if kind == "video" else super().encode(kind, arrays)

    def video(self, frames: Tensor) -> Iterator[Tensor | None]:
        """frames: (frames, 3, side, side) -> None after each layer, and last (rows, hidden)."""
        found: list[Tensor] = []
        for pixels in frames:
            for x in self.vision_tower.steps(pixels):
                if x is not None:
                    found.append(self.multi_modal_projector(self.pooled(x[self.skipped :])))
                yield None
        yield torch.cat(found)

    def pooled(self, x: Tensor) -> Tensor:
        """The patches of a frame, (patches, features) -> (rows, features)."""
        cfg, side = self.cfg, self.cfg.vision_config.side
        pool = F.avg_pool2d if cfg.spatial_pool_mode == "average" else F.max_pool2d
        plane = x.unflatten(0, (side, side)).permute(2, 0, 1)
        return pool(plane[None], cfg.spatial_pool_stride)[0].flatten(1).T


class LlavaNextVideoImages(LlavaNextImages):
    def __init__(self, cfg: LlavaNextVideoConfig, files: Mapping[str, Any]) -> None:
        super().__init__(cfg, files)
        self.beside = (LlavaVideos(cfg, files, cfg.frame_rows),)
