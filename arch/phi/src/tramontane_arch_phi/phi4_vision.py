"""How Phi-4-multimodal sees: SigLIP's encoder, for crops of which a part may be white: its patches
are no keys. The mean of 2 x 2 patches is one row.

The crops of an image make one plane, whose lines end with a learned row; behind another learned row
comes the whole image.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import Linear
from tramontane.blocks.buckets import BucketEmbeddings
from tramontane.blocks.vision import Parts, VisionLayer, VisionLayers, patches_of

from .phi4_config import CropsConfig
from .phi4_shorten import vector


class CropEmbeddings(BucketEmbeddings):
    def outside(self, pixels: Tensor) -> Tensor:
        """pixels: (patches, 3 * size²) of white -> (patches, hidden), all at the first position."""
        out: Tensor = self.patch_embedding(pixels) + self.position_embedding.weight[0]
        return out


class CropLayer(VisionLayer):
    def mix(self, q: Tensor, k: Tensor, v: Tensor, inside: int) -> Parts:  # type: ignore[override]
        """inside: so many rows are keys, the first."""
        mixed = yield from self.self_attn.mix.parts(q[:inside], k[:inside], v[:inside], [inside])
        if inside == len(q):
            return mixed
        yield None
        outside, keys, values = (
            each.transpose(0, 1)[None] for each in (q[inside:], k[:inside], v[:inside])
        )
        rest = F.scaled_dot_product_attention(outside, keys, values)[0]
        return torch.cat((mixed, rest.transpose(0, 1).flatten(1)))


class CropTower(nn.Module):
    """Tensors: embeddings, encoder.layers.N, up to the layer that is read."""

    def __init__(self, cfg: CropsConfig) -> None:
        super().__init__()
        self.size, self.hidden = cfg.patch_size, cfg.hidden_size
        self.embeddings = CropEmbeddings(cfg)
        self.encoder = VisionLayers(CropLayer(cfg) for _ in range(cfg.feature))

    def steps(self, pixels: Tensor, high: int, wide: int) -> Iterator[Tensor | None]:
        """pixels: (3, side, side), of which high x wide patches show something -> None where it may
        be interrupted, last ((high + 1) // 2, (wide + 1) // 2, hidden)."""
        size = self.size
        x: Tensor = self.embeddings(pixels[:, : high * size, : wide * size])
        rows, columns = high + high % 2, wide + wide % 2  # squares of 2 x 2 may reach outside
        shown = torch.zeros(rows, columns, dtype=torch.bool, device=pixels.device)
        shown[:high, :wide] = True
        if not shown.all():
            patches = patches_of(pixels[:, : rows * size, : columns * size], size)
            x = torch.cat((x, self.embeddings.outside(patches[~shown.flatten()])))
        for layer in self.encoder.layers:
            x = yield from layer.parts(x, high * wide)
            yield None
        plane = x.new_empty(rows, columns, self.hidden)
        plane[shown], plane[~shown] = x[: high * wide], x[high * wide :]
        yield F.avg_pool2d(plane.permute(2, 0, 1), 2).permute(1, 2, 0)


class ImageEmbedding(nn.Module):
    """Tensors: img_processor, img_projection_up, img_projection_down, global_img_feature_extensor
    and sub_img_feature_extensor (vision hidden): the rows that stand before the whole image, and
    that end a line."""

    def __init__(self, cfg: CropsConfig, hidden: int) -> None:
        super().__init__()
        self.side = cfg.side
        self.img_processor = CropTower(cfg)
        self.img_projection_up = Linear(cfg.hidden_size, hidden, bias=True)
        self.img_projection_down = Linear(hidden, hidden, bias=True)
        self.global_img_feature_extensor = vector(cfg.hidden_size)
        self.sub_img_feature_extensor = vector(cfg.hidden_size)

    def lines(self, plane: Tensor) -> Tensor:
        """(lines, columns, vision hidden) -> (rows, vision hidden), each line with its end."""
        ends = self.sub_img_feature_extensor.to(plane.dtype).expand(len(plane), 1, -1)
        return torch.cat((plane, ends), 1).flatten(0, 1)

    def steps(
        self, pixels: Tensor, grid: tuple[int, int], shown: tuple[int, int]
    ) -> Iterator[Tensor | None]:
        """pixels: (1 + crops, 3, side, side), first the whole image. grid: crops down and across.
        shown: patches down and across that are not all white -> None where it may be interrupted,
        last (rows, hidden)."""
        sides = [[min(self.side, all_of - self.side * i) for i in range(count)]
                 for count, all_of in zip(grid, shown, strict=True)]  # fmt: skip
        seen: list[Tensor] = []
        places = [(self.side, self.side), *((high, wide) for high in sides[0] for wide in sides[1])]
        for crop, place in zip(pixels, places, strict=True):
            for x in self.img_processor.steps(crop, *place):
                if x is not None:
                    seen.append(x)
                yield None
        across = grid[1]
        plane = torch.cat(
            [torch.cat(seen[first : first + across], 1) for first in range(1, len(seen), across)]
        )
        between = self.global_img_feature_extensor.to(plane.dtype)[None]
        rows = torch.cat((self.lines(plane), between, self.lines(seen[0])))
        yield self.img_projection_down(F.gelu(self.img_projection_up(rows)))
