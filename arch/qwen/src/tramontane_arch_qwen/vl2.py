"""Qwen2-VL: Qwen2 with images, whose positions have three sections: time, row and column."""

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import Tensor
from tramontane.blocks import (
    Attention,
    GatedMLP,
    LayerNorm,
    MediaLM,
    PreNormLayer,
    SectionedRope,
)
from tramontane.blocks.vision import VisionMLP
from tramontane.checkpoint.rules import Rename, Rule, Skip
from tramontane.config.decoder import ModelConfig

from .model import Qwen2Config
from .vl3_tower import DeepTower
from .vl_gguf import QWEN2
from .vl_tower import QwenTower

SECTIONED = ("mrope_section", "mrope_interleaved")
TEXT = MappingProxyType(
    {
        "vocab_size": 152_064,
        "hidden_size": 8192,
        "intermediate_size": 29_568,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "max_position_embeddings": 32_768,
        "max_window_layers": 80,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1_000_000.0,
    }
)


class TowerConfig(ModelConfig):
    """What both have. Names are those of `vision_config`."""

    depth: int = Field(default=32, gt=0, le=1024, strict=True)
    num_heads: int = Field(default=16, gt=0, le=2**10, strict=True)
    in_channels: int = Field(default=3, ge=3, le=3, strict=True)
    patch_size: int = Field(default=14, gt=0, le=2**10, strict=True)
    spatial_merge_size: int = Field(default=2, gt=0, le=16, strict=True)
    temporal_patch_size: int = Field(default=2, gt=0, le=16, strict=True)

    @property
    def patch(self) -> tuple[int, ...]:
        """Channels, frames, height and width of a patch."""
        return (self.in_channels, self.temporal_patch_size, self.patch_size, self.patch_size)


class Qwen2VLTowerConfig(TowerConfig):
    """hidden_size: of the rows that the encoder gives; embed_dim: its own."""

    embed_dim: int = Field(default=1280, gt=0, le=2**16, strict=True)
    hidden_size: int = Field(default=3584, gt=0, le=2**20, strict=True)
    mlp_ratio: int = Field(default=4, gt=0, le=64, strict=True)


class VLConfig(Qwen2Config):
    mrope_section: tuple[int, ...] = (16, 24, 24)
    absent = TEXT

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        for name in ("rope_parameters", "rope_scaling"):
            told = values.get(name)
            if isinstance(told, Mapping) and "mrope_section" in told:
                values["mrope_section"] = tuple(told["mrope_section"])
                rest = {key: value for key, value in told.items() if key not in SECTIONED}
                for key in ("type", "rope_type"):
                    if rest.get(key) == "mrope":
                        rest[key] = "default"
                values[name] = rest

    @model_validator(mode="after")
    def _sections(self) -> "VLConfig":
        if len(self.mrope_section) != 3 or sum(self.mrope_section) != self.head_dim // 2:
            raise ValueError(
                f"mrope_section {self.mrope_section} is not three numbers that are "
                f"{self.head_dim // 2} together, half of head_dim"
            )
        return self


class Qwen2VLConfig(VLConfig):
    """vision_config: None where a checkpoint is of the language model alone."""

    vision_config: Qwen2VLTowerConfig | None = Field(default_factory=Qwen2VLTowerConfig)


def vl_layer(cfg: VLConfig, index: int) -> PreNormLayer:
    rope = SectionedRope(cfg.head_dim, cfg.rope_theta, cfg.rope_scaling, sections=cfg.mrope_section)
    attention = Attention(cfg, index, rope=rope, window=cfg.window(index), bias=True)
    return PreNormLayer(cfg, attention, GatedMLP(cfg))


class QwenVL(MediaLM):
    """A language model with an encoder of pictures, `visual`; those of a video are encoded one
    after another, as none sees another."""

    Layer = staticmethod(vl_layer)
    visual: QwenTower | DeepTower

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        *times, rows, columns = (int(number) for number in arrays["grid"])
        found = []
        for patches in arrays["patches"].chunk(times[0] if times else 1):
            for rows_of_it in self.visual.steps(patches, rows, columns):
                if rows_of_it is None:
                    yield None
                else:
                    found.append(rows_of_it)
        yield torch.cat(found)


class Qwen2VL(QwenVL):
    def __init__(self, cfg: Qwen2VLConfig) -> None:
        super().__init__(cfg)
        tower = cfg.vision_config
        if tower is None:
            return
        self.visual = QwenTower(
            tower.embed_dim,
            tower.num_heads,
            tower.depth,
            tower.hidden_size,
            tower.patch,
            tower.spatial_merge_size,
            norm=partial(LayerNorm, eps=1e-6),
            mlp=partial(
                VisionMLP, tower.embed_dim, tower.embed_dim * tower.mlp_ratio, "quick_gelu"
            ),
        )


HF: list[Rule] = [
    Skip("*.rotary_emb"),
    Skip("*.rotary_pos_emb.*"),
    Rename("model.visual.*", "visual.*"),
    Rename("model.language_model.*", "model.*"),
    Rename("language_model.*", "*"),
]
WEIGHTS: dict[str, list[Rule]] = {"hf": HF, "gguf": QWEN2}
