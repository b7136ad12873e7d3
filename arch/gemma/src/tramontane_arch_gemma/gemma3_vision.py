"""Gemma 3 with images: SigLIP's encoder, pooled to a few rows, which see each other."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import MediaLM, RMSNorm
from tramontane.blocks.vision import SiglipTower, VisionConfig
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.checkpoint.clip_rules import clip_config, clip_names, columns_of, pixel_settings
from tramontane.checkpoint.encoder import EncoderSettings
from tramontane.checkpoint.rules import Rename, Rule, Shift, Skip
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import PixelSettings

from .gemma3 import Gemma3, Gemma3Config
from .model import SANDWICH_WEIGHTS


class Gemma3VisionConfig(Gemma3Config):
    vision_config: VisionConfig = Field(default_factory=VisionConfig)
    mm_tokens_per_image: int = Field(default=256, gt=0, le=2**16, strict=True)
    absent = MappingProxyType(
        {
            **Gemma3Config.absent,
            "vocab_size": 262_208,
            "hidden_size": 2304,
            "intermediate_size": 9216,
            "num_hidden_layers": 26,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "sliding_window": 4096,
        }
    )

    @property
    def pooled(self) -> int:
        """Rows of an image in one direction."""
        return int(self.mm_tokens_per_image**0.5)

    @model_validator(mode="after")
    def _pools(self) -> "Gemma3VisionConfig":
        if self.pooled**2 != self.mm_tokens_per_image or self.vision_config.side % self.pooled:
            raise ValueError(
                f"mm_tokens_per_image {self.mm_tokens_per_image} does not divide "
                f"{self.vision_config.side} x {self.vision_config.side} patches evenly"
            )
        return self


class Projector(nn.Module):
    """(patches, vision hidden) -> (rows, hidden): the mean of each square of patches, a norm, a
    matrix. Tensors: mm_soft_emb_norm, mm_input_projection_weight (vision hidden, hidden)."""

    def __init__(self, cfg: Gemma3VisionConfig) -> None:
        super().__init__()
        vision = cfg.vision_config
        self.side, self.kernel_size = vision.side, vision.side // cfg.pooled
        self.mm_soft_emb_norm = RMSNorm(vision.hidden_size, vision.layer_norm_eps)
        shape = (vision.hidden_size, cfg.hidden_size)
        self.mm_input_projection_weight = nn.Parameter(torch.empty(shape), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        square = x.T.unflatten(1, (self.side, self.side))
        pooled = F.avg_pool2d(square[None], self.kernel_size)[0].flatten(1).T
        out: Tensor = self.mm_soft_emb_norm(pooled) @ self.mm_input_projection_weight
        return out


class Gemma3Vision(MediaLM, Gemma3):
    def __init__(self, cfg: Gemma3VisionConfig) -> None:
        super().__init__(cfg)
        self.vision_tower = SiglipTower(cfg.vision_config)
        self.multi_modal_projector = Projector(cfg)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        for x in self.vision_tower.steps(arrays["pixels"]):
            yield x if x is None else self.multi_modal_projector(x)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("*.rotary_emb"),
        Rename("model.language_model.*", "model.*"),
        Rename("language_model.*", "*"),
        Rename("model.vision_tower.*", "vision_tower.*"),
        Rename("model.multi_modal_projector.*", "multi_modal_projector.*"),
        Rename("vision_tower.vision_model.*", "vision_tower.*"),
        Skip("vision_tower.head.*"),
        Shift("model.*norm", 1.0),
        Shift("multi_modal_projector.mm_soft_emb_norm", 1.0),
    ],
    "gguf": [
        *SANDWICH_WEIGHTS["gguf"],
        *clip_names("vision_tower"),
        Rename("mm.soft_emb_norm", "multi_modal_projector.mm_soft_emb_norm"),
        Rename("mm.input_projection.weight", "multi_modal_projector.mm_input_projection_weight"),
    ],
}


def encoder(
    metadata: Mapping[str, Any], config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> EncoderSettings:
    """Of a GGUF file. It says how many patches are pooled, side by side, where that is not 4."""
    vision = clip_config(metadata, tensors)
    pooled = int(metadata.get("clip.vision.projector.scale_factor", 4))
    side = vision["image_size"] // vision["patch_size"] // max(pooled, 1)
    return EncoderSettings(
        width=columns_of("mm.input_projection.weight", tensors),
        config={"vision_config": vision, "mm_tokens_per_image": side**2},
        processor=pixel_settings(metadata),
    )


class Gemma3Processor(MediaProcessor):
    """Every image squeezed into one square."""

    mark, row, mutual = "<start_of_image>", "<image_soft_token>", True
    spare_rows = ("<unused98>",)

    def __init__(self, cfg: Gemma3VisionConfig, files: Mapping[str, Any]) -> None:
        told = settings_of(files, "image_processor")
        side = cfg.vision_config.image_size
        size = told.get("size") or {}
        given = {size.get("height", side), size.get("width", side)}
        if given != {side}:
            raise ValueError(f"images of {size} do not fit an encoder of {side} x {side}")
        self.side, self.rows = side, cfg.mm_tokens_per_image
        self.settings = PixelSettings.of(told, 2)

    def prepare(self, pixels: Pixels) -> MediaItem:
        square = self.settings.resized(pixels, self.side, self.side)
        return MediaItem("image", {"pixels": self.settings.normalized(square)}, self.rows)

    def written(self, item: MediaItem) -> str:
        return f"\n\n{self.mark}{self.row * item.rows}<end_of_image>\n\n"
