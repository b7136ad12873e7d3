"""LFM2-VL: LFM2, with SigLIP 2's encoder of images of any proportions.

Squares of downsample_factor x downsample_factor patches are joined to one row each.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import ACTIVATIONS, Gelu, LayerNorm, Linear, MediaLM
from tramontane.blocks.vision import (
    Patches,
    Positions,
    SiglipTower,
    VisionConfig,
    joined,
    patches_of,
)
from tramontane.checkpoint.rules import Rename, Rule, Skip
from tramontane.config.decoder import OUTSIDE

from .model import Lfm, LfmConfig
from .weights import HF


class NaflexConfig(VisionConfig):
    """The fields of `vision_config`. num_patches: places of the table of positions, a square."""

    model_type: Literal["siglip2_vision_model"] = "siglip2_vision_model"
    hidden_act: Gelu = "gelu_pytorch_tanh"
    num_patches: int = Field(default=256, gt=0, le=2**20, strict=True)

    @property
    def side(self) -> int:
        """Places in a row of the table."""
        return int(self.num_patches**0.5)

    @model_validator(mode="after")
    def _square(self) -> Self:
        if self.side**2 != self.num_patches:
            raise ValueError(f"num_patches {self.num_patches} is no square of places")
        return self


class LfmVisionConfig(LfmConfig):
    vision_config: NaflexConfig = Field(default_factory=NaflexConfig)
    downsample_factor: int = Field(default=2, gt=0, le=64, strict=True)
    projector_hidden_size: int = Field(default=2560, gt=0, le=2**20, strict=True)
    projector_hidden_act: Gelu = "gelu"
    projector_bias: bool = True
    projector_use_layernorm: bool = True
    absent: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            **LfmConfig.absent,
            "vocab_size": 65_536,
            "hidden_size": 2560,
            "intermediate_size": 12_288,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
        }
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        text = values.get("text_config")
        if isinstance(text, Mapping):
            if (kind := text.get("model_type", "lfm2")) != "lfm2":
                raise ValueError(f"text_config with model_type {kind!r}; only 'lfm2' is supported")
            # the whole decides, whatever its text part says
            outside = values.get(OUTSIDE) or {}
            told = {name: outside.get(name) if name in text else values.pop(name, None)
                    for name in ("tie_embedding", "tie_word_embeddings")}  # fmt: skip
            for name in told:
                values.pop(name, None)
            found = next((each for each in told.values() if each is not None), True)
            values["tie_word_embeddings"] = found
        values.setdefault("num_hidden_layers", 32)
        super().derive(values)


class NaflexEmbeddings(nn.Module):
    """Patches of an image of any proportions, and a square table of positions that is resized to
    them. Tensors: patch_embedding (hidden, size * size * 3), position_embedding (places, hidden).
    """

    def __init__(self, cfg: NaflexConfig) -> None:
        super().__init__()
        self.size, self.side = cfg.patch_size, cfg.side
        self.patch_embedding = Patches(cfg.hidden_size, cfg.num_channels * self.size**2)
        self.position_embedding = Positions(cfg.num_patches, cfg.hidden_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (3, height, width) -> (patches, hidden)."""
        shape = tuple(side // self.size for side in pixels.shape[1:])
        # a pixel's channels lie together
        patches = patches_of(pixels, self.size).unflatten(1, (3, -1)).transpose(1, 2).flatten(1)
        table = self.position_embedding.weight
        square = table.float().T.unflatten(1, (self.side, self.side))
        places = F.interpolate(
            square[None], shape, mode="bilinear", align_corners=False, antialias=True
        )
        out: Tensor = self.patch_embedding(patches) + places[0].flatten(1).T.to(table.dtype)
        return out


class LfmProjector(nn.Module):
    """(patches, vision hidden) -> (patches / downsample_factor², hidden). Tensors: layer_norm,
    linear_1, linear_2."""

    def __init__(self, cfg: LfmVisionConfig) -> None:
        super().__init__()
        self.scale = cfg.downsample_factor
        wide, bias = cfg.vision_config.hidden_size * self.scale**2, cfg.projector_bias
        self.layer_norm = LayerNorm(wide, 1e-5) if cfg.projector_use_layernorm else None
        self.act = ACTIVATIONS[cfg.projector_hidden_act]
        self.linear_1 = Linear(wide, cfg.projector_hidden_size, bias=bias)
        self.linear_2 = Linear(cfg.projector_hidden_size, cfg.hidden_size, bias=bias)

    def forward(self, x: Tensor, rows: int) -> Tensor:
        """rows: of patches."""
        x = joined(x, rows, self.scale)
        if self.layer_norm is not None:
            x = self.layer_norm(x)
        out: Tensor = self.linear_2(self.act(self.linear_1(x)))
        return out


class LfmVision(MediaLM, Lfm):
    def __init__(self, cfg: LfmVisionConfig) -> None:
        super().__init__(cfg)
        self.vision_tower = SiglipTower(cfg.vision_config)
        self.vision_tower.embeddings = NaflexEmbeddings(cfg.vision_config)  # type: ignore[assignment]
        self.multi_modal_projector = LfmProjector(cfg)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        rows = []
        whole = [arrays["whole"]] if "whole" in arrays else []
        for image in [*arrays["tiles"], *whole]:
            high = image.shape[1] // self.vision_tower.embeddings.size
            for x in self.vision_tower.steps(image):
                if x is not None:
                    rows.append(self.multi_modal_projector(x, high))
                yield None
        yield torch.cat(rows)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Rename("model.vision_tower.*", "vision_tower.*"),
        Rename("model.multi_modal_projector.*", "multi_modal_projector.*"),
        Rename("vision_tower.vision_model.*", "vision_tower.*"),
        Skip("vision_tower.head.*"),
        Rename("model.language_model.*", "model.*"),
        Rename("language_model.*", "*"),
        *HF,
    ]
}
