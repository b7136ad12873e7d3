"""CLIP's encoder of images (Radford et al. 2021), up to the layers that are read."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from tramontane.blocks import LayerNorm
from tramontane.blocks.vision import (
    Patches,
    Positions,
    VisionConfig,
    VisionLayer,
    VisionLayers,
    patches_of,
)


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
