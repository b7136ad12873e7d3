"""CLIP's encoder of images (Radford et al. 2021), up to the layers that are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from .activation import Gelu
from .norm import LayerNorm
from .vision import Patches, Positions, VisionConfig, VisionLayer, VisionLayers, patches_of

CLIP_LARGE: Mapping[str, Any] = MappingProxyType(
    {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 336,
        "patch_size": 14,
    }
)
"""openai/clip-vit-large-patch14-336, the encoder of families whose configuration does not say."""


class ClipConfig(VisionConfig):
    """The fields of `vision_config` of CLIP, with its own defaults where they differ."""

    model_type: Literal["clip_vision_model"] = "clip_vision_model"
    patch_size: int = Field(default=32, gt=0, le=2**10, strict=True)
    hidden_act: Gelu | Literal["quick_gelu"] = "quick_gelu"
    layer_norm_eps: float = Field(default=1e-5, gt=0, le=1)


class ClipEmbeddings(nn.Module):
    """A class token, and the patches of a square row by row, with their positions. Tensors:
    class_embedding (hidden), patch_embedding, position_embedding (patches + 1, hidden)."""

    def __init__(self, cfg: VisionConfig) -> None:
        super().__init__()
        self.size = cfg.patch_size
        self.class_embedding = nn.Parameter(torch.empty(cfg.hidden_size), requires_grad=False)
        self.patch_embedding = Patches(
            cfg.hidden_size, cfg.num_channels, self.size, self.size, bias=False
        )
        self.position_embedding = Positions(cfg.side**2 + 1, cfg.hidden_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (3, side, side) -> (patches + 1, hidden)."""
        rows = self.patch_embedding(patches_of(pixels, self.size))
        out: Tensor = torch.cat((self.class_embedding[None], rows)) + self.position_embedding.weight
        return out


class ClipTower(nn.Module):
    """features: layers whose output is read, 0 for the first one's input; those behind the last of
    them are not built. Tensors: embeddings, pre_layrnorm, encoder.layers.N."""

    def __init__(self, cfg: VisionConfig, features: Sequence[int]) -> None:
        super().__init__()
        self.features = features
        self.embeddings = ClipEmbeddings(cfg)
        self.pre_layrnorm = LayerNorm(cfg.hidden_size, cfg.layer_norm_eps)  # so they spell it
        self.encoder = VisionLayers(VisionLayer(cfg) for _ in range(max(features)))

    def steps(self, pixels: Tensor) -> Iterator[Tensor | None]:
        """pixels: (3, side, side) -> None after each layer, and last (patches + 1, features *
        hidden)."""
        seen = [self.pre_layrnorm(self.embeddings(pixels))]
        for layer in self.encoder.layers:
            seen.append((yield from layer.parts(seen[-1], [len(seen[-1])])))
            yield None
        yield torch.cat([seen[layer] for layer in self.features], -1)
