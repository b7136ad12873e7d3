"""The encoder of Qwen3-VL: that of Qwen2-VL, with learned positions stretched over the picture
beside the rotation, and mergers behind some of its layers too (DeepStack, Meng et al. 2024)."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import LayerNorm, Linear
from tramontane.blocks.activation import ACTIVATIONS, Gelu
from tramontane.blocks.vision import Positions

from .vl_tower import Grid, PatchEmbed, TowerLayer, two_way_angles

EPS = 1e-6


class DeepMLP(nn.Module):
    """linear_fc2(act(linear_fc1(x)))."""

    def __init__(self, hidden: int, wide: int, act: Gelu) -> None:
        super().__init__()
        self.act = ACTIVATIONS[act]
        self.linear_fc1 = Linear(hidden, wide, bias=True)
        self.linear_fc2 = Linear(wide, hidden, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear_fc2(self.act(self.linear_fc1(x)))
        return out


class DeepMerger(nn.Module):
    """(patches, hidden) -> (patches / merge², out). joined: whether the norm is over a merged
    square's numbers, not a patch's. Tensors: norm, linear_fc1, linear_fc2."""

    def __init__(self, hidden: int, out: int, merge: int, *, joined: bool) -> None:
        super().__init__()
        self.square, self.joined = merge**2, joined
        wide = hidden * self.square
        self.norm = LayerNorm(wide if joined else hidden, EPS)
        self.linear_fc1 = Linear(wide, wide, bias=True)
        self.linear_fc2 = Linear(wide, out, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.joined else self.norm(x)
        wide = x.unflatten(0, (-1, self.square)).flatten(1)
        wide = self.norm(wide) if self.joined else wide
        out: Tensor = self.linear_fc2(F.gelu(self.linear_fc1(wide)))
        return out


class DeepTower(nn.Module):
    """One picture: patches (patches, 3 * frames * size²) -> None after each layer, and last
    (patches / merge², out * (1 + mergers)): what the last layer gives, then what those of `deep`
    give, in their order.

    places: learned positions, a square of them. Tensors: patch_embed, pos_embed (places, hidden),
    blocks.N, merger, deepstack_merger_list.N.
    """

    def __init__(
        self,
        hidden: int,
        heads: int,
        depth: int,
        out: int,
        patch: tuple[int, ...],
        merge: int,
        *,
        wide: int,
        act: Gelu,
        places: int,
        deep: Sequence[int],
    ) -> None:
        super().__init__()
        self.merge, self.deep = merge, tuple(deep)
        self.width, self.side = hidden // heads, int(places**0.5)
        self.patch_embed = PatchEmbed(hidden, *patch, bias=True)
        self.pos_embed = Positions(places, hidden)

        def norm(size: int) -> nn.Module:
            return LayerNorm(size, EPS)

        self.blocks: Any = nn.ModuleList(
            TowerLayer(hidden, heads, norm, DeepMLP(hidden, wide, act)) for _ in range(depth)
        )
        self.merger = DeepMerger(hidden, out, merge, joined=False)
        self.deepstack_merger_list = nn.ModuleList(
            DeepMerger(hidden, out, merge, joined=True) for _ in self.deep
        )

    def steps(self, patches: Tensor, rows: int, columns: int) -> Iterator[Tensor | None]:
        """rows, columns: of patches."""
        grid = Grid(rows, columns, self.merge)
        places = grid.places().to(patches.device)
        x = self.patch_embed(patches)
        x = x + self._stretched(places, rows, columns).to(x.dtype)
        angles = two_way_angles(places, self.width)
        merged = []
        for index, block in enumerate(self.blocks):
            x = yield from block.parts(x, angles, [grid.count])
            if index in self.deep:
                merged.append(self.deepstack_merger_list[self.deep.index(index)](x))
            yield None
        yield torch.cat([self.merger(x), *merged], 1)

    def _stretched(self, places: Tensor, rows: int, columns: int) -> Tensor:
        """(patches, hidden): the positions, interpolated bilinearly, corner on corner."""
        (top, low), (left, right) = (
            _taps(place, size, self.side)
            for place, size in zip(places, (rows, columns), strict=True)
        )  # fmt: skip
        table = self.pos_embed.weight
        found = torch.zeros((), device=table.device)
        for row, high in (top, low):
            for column, wide in (left, right):
                found = found + table[row * self.side + column] * (high * wide)[:, None]
        return found


def _taps(place: Tensor, size: int, side: int) -> tuple[tuple[Tensor, Tensor], ...]:
    """The two of `side` entries between which each place of `size` lies, with their weights."""
    where = place.float() * (side - 1) / max(size - 1, 1)
    first = where.floor()
    part = where - first
    low = first.long()
    return (low.clamp(max=side - 1), 1 - part), ((low + 1).clamp(max=side - 1), part)
