"""SigLIP's encoder, up to the layers that are read."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from tramontane.blocks.vision import VisionConfig, VisionEmbeddings, VisionLayer, VisionLayers


class SiglipFeatures(nn.Module):
    """features: layers whose output is read, 0 for the first one's input; those behind the last of
    them are not built. Tensors: embeddings, encoder.layers.N."""

    def __init__(self, cfg: VisionConfig, features: Sequence[int]) -> None:
        super().__init__()
        self.features = features
        self.embeddings = VisionEmbeddings(cfg)
        self.encoder = VisionLayers(VisionLayer(cfg) for _ in range(max(features)))

    def steps(self, pixels: Tensor) -> Iterator[Tensor | None]:
        """pixels: (3, side, side) -> None after each layer, and last (patches, features *
        hidden)."""
        seen: list[Tensor] = [self.embeddings(pixels)]
        for layer in self.encoder.layers:
            seen.append((yield from layer.parts(seen[-1], [len(seen[-1])])))
            yield None
        yield torch.cat([seen[layer] for layer in self.features], -1)
