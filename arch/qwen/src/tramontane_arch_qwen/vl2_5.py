"""Qwen2.5-VL: Qwen2-VL with an encoder most of whose layers see windows of the picture."""

from functools import partial
from typing import Literal

from pydantic import Field, model_validator
from tramontane.blocks import GatedMLP, RMSNorm

from .vl2 import HF, QwenVL, TowerConfig, VLConfig
from .vl_gguf import QWEN25
from .vl_tower import QwenTower


class Qwen2_5_VLTowerConfig(TowerConfig):
    """window_size: pixels of a window's side. tokens_per_second: positions of a video's times."""

    hidden_size: int = Field(default=3584, gt=0, le=2**16, strict=True)
    intermediate_size: int = Field(default=3420, gt=0, le=2**18, strict=True)
    out_hidden_size: int = Field(default=3584, gt=0, le=2**20, strict=True)
    window_size: int = Field(default=112, gt=0, le=2**16, strict=True)
    fullatt_block_indexes: tuple[int, ...] = (7, 15, 23, 31)
    hidden_act: Literal["silu"] = "silu"
    tokens_per_second: float = Field(default=4, gt=0, le=2**16, strict=True)

    @property
    def window(self) -> int:
        """Merged squares in a row of a window."""
        return self.window_size // self.spatial_merge_size // self.patch_size

    @model_validator(mode="after")
    def _has_windows(self) -> "Qwen2_5_VLTowerConfig":
        if not self.window:
            side = self.patch_size * self.spatial_merge_size
            raise ValueError(f"window_size {self.window_size} is less than a row's {side} pixels")
        return self


class Qwen2_5_VLConfig(VLConfig):
    vision_config: Qwen2_5_VLTowerConfig = Field(default_factory=Qwen2_5_VLTowerConfig)


class Qwen2_5_VL(QwenVL):
    def __init__(self, cfg: Qwen2_5_VLConfig) -> None:
        super().__init__(cfg)
        tower = cfg.vision_config
        self.visual = QwenTower(
            tower.hidden_size,
            tower.num_heads,
            tower.depth,
            tower.out_hidden_size,
            tower.patch,
            tower.spatial_merge_size,
            norm=partial(RMSNorm, eps=1e-6),
            mlp=partial(GatedMLP, tower, bias=True),  # type: ignore[arg-type]
            window=tower.window,
            whole=tower.fullatt_block_indexes,
        )


WEIGHTS = {"hf": HF, "gguf": QWEN25}
