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
from tramontane.blocks.vision import SiglipTower, VisionConfig, VisionEmbeddings, patches_of
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


class TileEmbeddings(VisionEmbeddings):
    """Patches with the positions of the buckets that their fractions of a side fall into.

    The fractions are compared in float32, as transformers does: of 25 patches in a row, ten have
    the position before their own.
    """

    def __init__(self, cfg: TileConfig) -> None:
        super().__init__(cfg)
        self.side = cfg.side

    def forward(self, pixels: Tensor) -> Tensor:
        rows, columns = (side // self.size for side in pixels.shape[1:])
        where = self.places(rows)[:, None] * self.side + self.places(columns)
        positions = self.position_embedding.weight[where.flatten().to(pixels.device)]
        out: Tensor = self.patch_embedding(patches_of(pixels, self.size)) + positions
        return out

    def places(self, count: int) -> Tensor:
        """(count): the bucket of `side` into which each of `count` patches falls."""
        bounds = torch.arange(1 / self.side, 1.0, 1 / self.side)
        fractions = torch.arange(count, dtype=torch.float32) * (1.0 / torch.tensor(count))
        return torch.bucketize(fractions.clamp(max=1.0 - 1e-6), bounds, right=True)


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
        self.scale, self.side = cfg.scale_factor, cfg.vision_config.side // cfg.scale_factor
        self.modality_projection = Projection(cfg)

    def forward(self, x: Tensor) -> Tensor:
        squares = x.reshape(self.side, self.scale, self.side, self.scale, -1).transpose(1, 2)
        out: Tensor = self.modality_projection.proj(squares.flatten(2).flatten(0, 1))
        return out


class Idefics3(MediaLM):
    Layer = LlamaLayer

    def __init__(self, cfg: Idefics3Config) -> None:
        super().__init__(cfg)
        self.vision_model = SiglipTower(cfg.vision_config)
        self.vision_model.embeddings = TileEmbeddings(cfg.vision_config)
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
