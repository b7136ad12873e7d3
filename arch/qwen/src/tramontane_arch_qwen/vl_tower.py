"""The encoder of Qwen2-VL and Qwen2.5-VL: patches of any number, rotated by row and column, four of
them merged to a row of the language model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import Linear
from tramontane.blocks.vision import EncoderLayer, PackedAttention, Parts, Patches, turned

THETA = 10_000.0


@dataclass(frozen=True)
class Grid:
    """Patches of one picture, `rows` x `columns`; those of a merged square follow one another."""

    rows: int
    columns: int
    merge: int

    @property
    def count(self) -> int:
        return self.rows * self.columns

    def places(self) -> Tensor:
        """(2, patches): row and column of each."""
        where = torch.stack(
            torch.meshgrid(torch.arange(self.rows), torch.arange(self.columns), indexing="ij")
        )
        squares = where.unflatten(2, (-1, self.merge)).unflatten(1, (-1, self.merge))
        places: Tensor = squares.permute(0, 1, 3, 2, 4).flatten(1)
        return places

    def windows(self, side: int) -> tuple[Tensor, list[int]]:
        """An order of merged squares by windows of `side` x `side` of them, (squares), and how many
        patches each window has."""
        rows, columns = self.rows // self.merge, self.columns // self.merge
        index = torch.arange(rows * columns).unflatten(0, (rows, columns))
        parts = [
            index[top : top + side, left : left + side].flatten()
            for top in range(0, rows, side)
            for left in range(0, columns, side)
        ]
        return torch.cat(parts), [len(part) * self.merge**2 for part in parts]


class PatchEmbed(nn.Module):
    """Tensor: proj (hidden, channels, frames, size, size)."""

    def __init__(self, hidden: int, *size: int, bias: bool = False) -> None:
        super().__init__()
        self.proj = Patches(hidden, *size, bias=bias)

    def forward(self, patches: Tensor) -> Tensor:
        out: Tensor = self.proj(patches)
        return out


class TowerAttention(nn.Module):
    """Tensors: qkv (3 * hidden, hidden), proj."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.qkv = Linear(hidden, 3 * hidden, bias=True)
        self.proj = Linear(hidden, hidden, bias=True)
        self.mix = PackedAttention()


class TowerLayer(EncoderLayer):
    """Tensors: norm1, attn, norm2, mlp."""

    def __init__(
        self, hidden: int, heads: int, norm: Callable[[int], nn.Module], mlp: nn.Module
    ) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = norm(hidden), norm(hidden)
        self.attn = TowerAttention(hidden)
        self.mlp = mlp

    def begin(self, x: Tensor) -> tuple[Tensor, ...]:
        out: tuple[Tensor, ...] = self.attn.qkv(self.norm1(x)).chunk(3, -1)
        return out

    def mix(self, q: Tensor, k: Tensor, v: Tensor, *told: Any) -> Parts:
        angles, lengths = told
        return self.attn.mix.parts(turned(q, angles), turned(k, angles), v, lengths)

    def end(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.attn.proj(mixed)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Merger(nn.Module):
    """(patches, hidden) -> (patches / merge², out). Tensors: ln_q, mlp.0, mlp.2."""

    def __init__(self, hidden: int, out: int, merge: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.square = merge**2
        self.ln_q = norm(hidden)
        wide = hidden * self.square
        self.mlp = nn.ModuleList([
            Linear(wide, wide, bias=True), nn.Identity(), Linear(wide, out, bias=True),
        ])  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        wide = self.ln_q(x).unflatten(0, (-1, self.square)).flatten(1)
        out: Tensor = self.mlp[2](F.gelu(self.mlp[0](wide)))
        return out


class QwenTower(nn.Module):
    """One picture: patches (patches, 3 * frames * size²) -> None where it may be interrupted,
    and last (patches / merge², out).

    norm: (width) -> a norm; mlp: () -> the feed-forward half of a layer. window: merged squares in
    a row of a window; 0: none. whole: layers that see all of the picture all the same. Tensors:
    patch_embed, blocks.N, merger.
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
        norm: Callable[[int], nn.Module],
        mlp: Callable[[], nn.Module],
        window: int = 0,
        whole: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.merge, self.window, self.whole = merge, window, frozenset(whole)
        self.width = hidden // heads
        self.patch_embed = PatchEmbed(hidden, *patch)
        self.blocks: Any = nn.ModuleList(
            TowerLayer(hidden, heads, norm, mlp()) for _ in range(depth)
        )
        self.merger = Merger(hidden, out, merge, norm)

    def steps(self, patches: Tensor, rows: int, columns: int) -> Iterator[Tensor | None]:
        """rows, columns: of patches."""
        grid = Grid(rows, columns, self.merge)
        x = self.patch_embed(patches)
        places, lengths, order = grid.places().to(x.device), [grid.count], None
        if self.window:
            order, lengths = grid.windows(self.window)
            order = order.to(x.device)
            x, places = self._ordered(x, order), self._ordered(places.T, order).T
        angles = two_way_angles(places, self.width)
        for index, block in enumerate(self.blocks):
            whole = not self.window or index in self.whole
            x = yield from block.parts(x, angles, [grid.count] if whole else lengths)
            yield None
        merged = self.merger(x)
        yield merged if order is None else merged[order.argsort()]

    def _ordered(self, x: Tensor, order: Tensor) -> Tensor:
        ordered: Tensor = x.unflatten(0, (-1, self.merge**2))[order].flatten(0, 1)
        return ordered


def two_way_angles(places: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """cos and sin (patches, 1, width / 2): half of the pairs turn by the row, half by the column.
    places: (2, patches)."""
    half = width // 2
    steps = torch.arange(0, half, 2, dtype=torch.float32, device=places.device) / half
    angle = (places[..., None].float() * (1.0 / THETA**steps)).permute(1, 0, 2).flatten(1)
    return angle.cos()[:, None], angle.sin()[:, None]
