"""Patches of pictures of any proportions, with the positions of a square one (Dehghani et al. 2023,
NaViT)."""

from __future__ import annotations

import torch
from torch import Tensor

from .vision import VisionConfig, VisionEmbeddings, patches_of


class BucketEmbeddings(VisionEmbeddings):
    """Patches with the positions of the buckets that their fractions of a side fall into; pixels
    that fill no patch are left out.

    The fractions are compared in float32, as transformers does: of 25 patches in a row, ten have
    the position before their own.
    """

    def __init__(self, cfg: VisionConfig) -> None:
        super().__init__(cfg)
        self.side = cfg.side

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (3, height, width) -> (patches, hidden)."""
        rows, columns = (side // self.size for side in pixels.shape[1:])
        where = self.places(rows)[:, None] * self.side + self.places(columns)
        positions = self.position_embedding.weight[where.flatten().to(pixels.device)]
        out: Tensor = self.patch_embedding(patches_of(pixels, self.size)) + positions
        return out

    def places(self, count: int) -> Tensor:
        """(count): the bucket of `side` into which each of `count` patches falls."""
        bounds = torch.arange(1 / self.side, 1.0, 1 / self.side)
        return torch.bucketize(self.fractions(count), bounds, right=True)

    def fractions(self, count: int) -> Tensor:
        """(count): where each of `count` patches begins, of a side of 1."""
        fractions = torch.arange(count, dtype=torch.float32) * (1.0 / torch.tensor(count))
        return fractions.clamp(max=1.0 - 1e-6)
