"""Mistral Small 3.1 and later, and Ministral 3, with images: Pixtral's encoder, whose patches are
merged by squares to rows of the language model."""

from collections.abc import Iterator, Mapping
from typing import Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import ACTIVATIONS, Gelu, Linear, MediaLM, RMSNorm
from tramontane.checkpoint.rules import Rename, Rule, Skip

from .ministral import WEIGHTS, Ministral3, Ministral3Config
from .mistral3_gguf import GGUF
from .pixtral import PixtralConfig, PixtralTower


class Mistral3Config(Ministral3Config):
    """vision_config: None where a checkpoint is of the language model alone."""

    vision_config: PixtralConfig | None = None
    vision_feature_layer: int = -1
    spatial_merge_size: int = Field(default=2, gt=0, le=16, strict=True)
    projector_hidden_act: Gelu = "gelu"
    multimodal_projector_bias: bool = False

    @property
    def read_layers(self) -> int:
        """Layers of the encoder up to the one that is read."""
        if self.vision_config is None:
            return 0
        told, depth = self.vision_feature_layer, self.vision_config.num_hidden_layers
        return told if told >= 0 else depth + 1 + told

    @model_validator(mode="after")
    def _has_layer(self) -> Self:
        vision = self.vision_config
        if vision is not None and not 0 <= self.read_layers <= vision.num_hidden_layers:
            raise ValueError(
                f"vision_feature_layer {self.vision_feature_layer} is none of an encoder of "
                f"{vision.num_hidden_layers} layers"
            )
        return self


class PatchMerger(nn.Module):
    """(patches, hidden) -> (patches / merge², hidden): each square's numbers, channel by channel,
    through a matrix. Tensor: merging_layer (hidden, hidden * merge²)."""

    def __init__(self, hidden: int, merge: int) -> None:
        super().__init__()
        self.merge = merge
        self.merging_layer = Linear(hidden * merge**2, hidden)

    def forward(self, x: Tensor, rows: int) -> Tensor:
        """rows: of patches."""
        merge = self.merge
        grid = x.unflatten(0, (rows // merge, merge, -1, merge))
        out: Tensor = self.merging_layer(grid.permute(0, 2, 4, 1, 3).flatten(2).flatten(0, 1))
        return out


class Mistral3Projector(nn.Module):
    """(patches, vision hidden) -> (patches / merge², hidden). Tensors: norm, patch_merger,
    linear_1, linear_2."""

    def __init__(self, cfg: Mistral3Config, wide: int) -> None:
        super().__init__()
        bias = cfg.multimodal_projector_bias
        self.norm = RMSNorm(wide, cfg.rms_norm_eps)
        self.patch_merger = PatchMerger(wide, cfg.spatial_merge_size)
        self.act = ACTIVATIONS[cfg.projector_hidden_act]
        self.linear_1 = Linear(wide, cfg.hidden_size, bias=bias)
        self.linear_2 = Linear(cfg.hidden_size, cfg.hidden_size, bias=bias)

    def forward(self, x: Tensor, rows: int) -> Tensor:
        merged = self.patch_merger(self.norm(x), rows)
        out: Tensor = self.linear_2(self.act(self.linear_1(merged)))
        return out


class Mistral3(MediaLM, Ministral3):
    def __init__(self, cfg: Mistral3Config) -> None:
        super().__init__(cfg)
        if cfg.vision_config is not None:
            self.vision_tower = PixtralTower(cfg.vision_config, cfg.read_layers)
            self.multi_modal_projector = Mistral3Projector(cfg, cfg.vision_config.hidden_size)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        pixels = arrays["pixels"]
        rows = pixels.shape[1] // self.vision_tower.size
        for x in self.vision_tower.steps(pixels):
            yield x if x is None else self.multi_modal_projector(x, rows)


def weights(cfg: Mistral3Config) -> dict[str, list[Rule]]:
    """Layers of the encoder behind the one that is read are left out, and all of it where the
    configuration says nothing of it."""
    if cfg.vision_config is None:
        return WEIGHTS
    depth = cfg.vision_config.num_hidden_layers
    return {
        "gguf": GGUF,
        "hf": [
            Skip("*.rotary_emb"),
            Skip("*.patch_positional_embedding"),
            Rename("model.language_model.*", "model.*"),
            Rename("language_model.*", "*"),
            Rename("model.vision_tower.*", "vision_tower.*"),
            Rename("model.multi_modal_projector.*", "multi_modal_projector.*"),
            *(
                Skip(f"vision_tower.transformer.layers.{n}.*")
                for n in range(cfg.read_layers, depth)
            ),
        ],
    }
