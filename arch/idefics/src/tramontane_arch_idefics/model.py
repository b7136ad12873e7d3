"""Idefics3 and SmolVLM: Llama, with images that are cut into square tiles for SigLIP's encoder.

Of a tile's n x n patches, squares of scale_factor x scale_factor are joined to one row each.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import Attention, GatedMLP, Linear, MediaLM, PreNormLayer, rope_for
from tramontane.blocks.buckets import BucketEmbeddings
from tramontane.blocks.vision import SiglipTower, VisionConfig, joined
from tramontane.checkpoint.rules import Rename, Rule, Skip
from tramontane.config import DecoderConfig
from tramontane.config.decoder import tie_from_outside

from .gguf import GGUF


class TileConfig(VisionConfig):
    """The fields of `vision_config`. image_size: of the pictures that the positions are for."""

    hidden_size: int = Field(default=1152, gt=0, le=2**16, strict=True)
    num_attention_heads: int = Field(default=16, gt=0, le=2**10, strict=True)
    patch_size: int = Field(default=32, gt=0, le=2**10, strict=True)


class Idefics3Config(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    vision_config: TileConfig = Field(default_factory=TileConfig)
    scale_factor: int = Field(default=2, gt=0, le=64, strict=True)
    absent = MappingProxyType(
        {
            "vocab_size": 32_000,
            "hidden_size": 4096,
            "intermediate_size": 11_008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
        }
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        text = values.get("text_config")
        kind = text.get("model_type", "llama") if isinstance(text, Mapping) else "llama"
        if kind != "llama":
            raise ValueError(f"text_config with model_type {kind!r}; only 'llama' is supported")
        tie_from_outside(values)

    @model_validator(mode="after")
    def _joins(self) -> "Idefics3Config":
        side = self.vision_config.side
        if side % self.scale_factor:
            raise ValueError(
                f"scale_factor {self.scale_factor} does not divide {side} x {side} patches evenly"
            )
        return self


class LlamaLayer(PreNormLayer):
    def __init__(self, cfg: Idefics3Config, index: int) -> None:
        bias = cfg.attention_bias
        attention = Attention(cfg, index, rope=rope_for(cfg), bias=bias, out_bias=bias)
        super().__init__(cfg, attention, GatedMLP(cfg, bias=cfg.mlp_bias))


class Projection(nn.Module):
    """Tensor: proj (hidden, vision hidden * scale_factor²)."""

    def __init__(self, cfg: Idefics3Config) -> None:
        super().__init__()
        wide = cfg.vision_config.hidden_size * cfg.scale_factor**2
        self.proj = Linear(wide, cfg.hidden_size, bias=False)


class Connector(nn.Module):
    """(patches, vision hidden) -> (patches / scale_factor², hidden). Tensor: modality_projection,
    a matrix."""

    def __init__(self, cfg: Idefics3Config) -> None:
        super().__init__()
        self.scale, self.side = cfg.scale_factor, cfg.vision_config.side
        self.modality_projection = Projection(cfg)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.modality_projection.proj(joined(x, self.side, self.scale))
        return out


class Idefics3(MediaLM):
    Layer = LlamaLayer

    def __init__(self, cfg: Idefics3Config) -> None:
        super().__init__(cfg)
        self.vision_model = SiglipTower(cfg.vision_config)
        self.vision_model.embeddings = BucketEmbeddings(cfg.vision_config)
        self.connector = Connector(cfg)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        rows = []
        for tile in arrays["tiles"]:
            for x in self.vision_model.steps(tile):
                if x is not None:
                    rows.append(self.connector(x))
                yield None
        yield torch.cat(rows)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("*.rotary_emb"),
        Rename("model.vision_model.*", "vision_model.*"),
        Rename("model.connector.*", "connector.*"),
        Rename("model.text_model.*", "model.*"),
    ],
    "gguf": GGUF,
}
