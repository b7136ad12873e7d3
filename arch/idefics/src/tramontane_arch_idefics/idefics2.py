"""Idefics2: Mistral, with images in their own proportions, each in a fixed number of rows."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from tramontane.blocks import Attention, GatedMLP, MediaLM, PreNormLayer, rope_for
from tramontane.blocks.buckets import BucketEmbeddings
from tramontane.blocks.vision import SiglipTower, VisionConfig
from tramontane.config import DecoderConfig
from tramontane.config.decoder import tie_from_outside

from .perceiver import GatedHalf, Perceiver, PerceiverConfig


class EyeConfig(VisionConfig):
    """The fields of `vision_config`. image_size: of the pictures that the positions are for."""

    patch_size: int = Field(default=32, gt=0, le=2**10, strict=True)


class Idefics2Config(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    sliding_window: int | None = 4096
    vision_config: EyeConfig = Field(default_factory=EyeConfig)
    perceiver_config: PerceiverConfig = Field(default_factory=PerceiverConfig)
    absent = MappingProxyType(
        {
            "vocab_size": 32_000,
            "hidden_size": 4096,
            "intermediate_size": 14_336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "max_position_embeddings": 131_072,
        }
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        text = values.get("text_config")
        kind = text.get("model_type", "mistral") if isinstance(text, Mapping) else "mistral"
        if kind != "mistral":
            raise ValueError(f"text_config with model_type {kind!r}; only 'mistral' is supported")
        if "text_config" not in values and "vocab_size" not in values:  # nothing is said of it
            values.setdefault("max_position_embeddings", 32_768)
            values.setdefault("rms_norm_eps", 1e-5)
        tie_from_outside(values)

    @property
    def perceiver_eps(self) -> float:
        """What the norms behind the encoder add: a `perceiver_config` of another width than the
        text's is not the model's, and does not count in this either."""
        told = self.perceiver_config
        return told.rms_norm_eps if told.hidden_size == self.hidden_size else self.rms_norm_eps


def layer(cfg: Idefics2Config, index: int) -> PreNormLayer:
    attention = Attention(cfg, index, rope=rope_for(cfg), window=cfg.sliding_window)
    return PreNormLayer(cfg, attention, GatedMLP(cfg))


class Connector(nn.Module):
    """(patches, vision hidden) -> (latents, hidden). Tensors: modality_projection,
    perceiver_resampler."""

    def __init__(self, cfg: Idefics2Config) -> None:
        super().__init__()
        hidden, seen = cfg.hidden_size, cfg.vision_config.hidden_size
        self.modality_projection = GatedHalf(seen, cfg.intermediate_size, hidden, cfg.hidden_act)
        self.perceiver_resampler = Perceiver(cfg.perceiver_config, hidden, cfg.perceiver_eps)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.perceiver_resampler(self.modality_projection(x))
        return out


class Idefics2(MediaLM):
    Layer = staticmethod(layer)

    def __init__(self, cfg: Idefics2Config) -> None:
        super().__init__(cfg)
        self.vision_model = SiglipTower(cfg.vision_config)
        self.vision_model.embeddings = BucketEmbeddings(cfg.vision_config)
        self.connector = Connector(cfg)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        rows = []
        for name in sorted(arrays):
            for x in self.vision_model.steps(arrays[name]):
                if x is not None:
                    rows.append(self.connector(x))
                yield None
        yield torch.cat(rows)
