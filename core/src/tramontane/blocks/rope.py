"""Rotary position embedding (Su et al. 2021) by halves: pairs are (i, i + d / 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tramontane.config.rope_scaling import Scaling, plain_frequencies

if TYPE_CHECKING:
    from tramontane.config import DecoderConfig
    from tramontane.engine.batch import Batch


class Rope:
    """Rotates the first `dim` numbers of each head: pair (i, i + dim / 2) by the angle position /
    theta^(2i / dim), in radians. For checkpoints that rotate adjacent pairs, see `Deinterleave`.

    scaling: how angles change with context, from `rope_scaling` of the configuration; None: as
    above. Layers with equal settings may share one; a batch computes its angles once.
    """

    def __init__(self, dim: int, theta: float, scaling: Scaling | None = None) -> None:
        self.dim, self.theta, self.scaling = dim, theta, scaling
        self.settings: tuple[object, ...] = (dim, theta, scaling)
        """Rotations with equal settings have the same angles."""

    def __call__(self, x: Tensor, batch: Batch) -> Tensor:
        """x: (tokens, heads, d_head) -> the same shape, rotated by the tokens' positions."""
        cos, sin = batch.angles(self)  # (tokens, 1, dim / 2)
        cos, sin = cos.to(x.dtype), sin.to(x.dtype)
        a, b = x[..., : self.dim].chunk(2, -1)
        turned = torch.cat((a * cos - b * sin, b * cos + a * sin), -1)
        return turned if self.dim == x.shape[-1] else torch.cat((turned, x[..., self.dim :]), -1)

    def angles(self, positions: Tensor, extents: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin of the angles, (tokens, 1, dim / 2) float32 each.

        positions: (tokens). extents: (tokens), the length of each token's context when it was first
        computed, which length-dependent scalings use, so that chunking changes nothing.
        """
        factor: float | Tensor = 1.0
        if self.scaling is None:
            angle = positions[:, None].float() * self._table(0, positions)
        elif not self.scaling.grows:
            angle = positions[:, None].float() * self._table(1, positions)
            factor = self.scaling.magnitude(1)
        else:
            lengths, place = extents.unique(return_inverse=True)
            told = lengths.tolist()
            tables = torch.stack([self._table(int(n), positions) for n in told])
            angle = positions[:, None].float() * tables[place]
            factors = [self.scaling.magnitude(int(n)) for n in told]
            factor = torch.tensor(factors, device=positions.device)[place, None]
        return (angle.cos() * factor)[:, None], (angle.sin() * factor)[:, None]

    def _table(self, length: int, like: Tensor) -> Tensor:
        if self.scaling is None:
            return plain_frequencies(self.theta, self.dim).to(like.device)
        return self.scaling.inverse_frequencies(self.theta, self.dim, length).to(like.device)


class SectionedRope(Rope):
    """A `Rope` for positions in several sections, such as time, row and column (M-RoPE, Qwen2-VL).

    sections: how many of the dim / 2 pairs turn by each section's position, one after the other;
    interleaved: pair i by section i % 3 instead, as far as that section has pairs (Qwen3-VL).
    Raises ValueError unless they are dim / 2 together.
    """

    def __init__(
        self,
        dim: int,
        theta: float,
        scaling: Scaling | None = None,
        *,
        sections: tuple[int, ...],
        interleaved: bool = False,
    ) -> None:
        super().__init__(dim, theta, scaling)
        if sum(sections) != dim // 2 or min(sections) < 0:
            raise ValueError(f"sections {sections} are not {dim // 2} pairs together")
        self.sections = sections
        self.settings = (*self.settings, sections, interleaved)
        order = [index for index, count in enumerate(sections) for _ in range(count)]
        if interleaved:
            order = [0] * (dim // 2)
            for index, count in enumerate(sections[1:], 1):
                order[index : index + count * len(sections) : len(sections)] = [index] * count
        self.order = order
        """The section of each pair."""

    def angles(self, positions: Tensor, extents: Tensor) -> tuple[Tensor, Tensor]:
        """positions: (sections, tokens), or (tokens) where all sections' are equal."""
        if positions.dim() == 1:
            return super().angles(positions, extents)
        pairs = [super(SectionedRope, self).angles(each, extents) for each in positions]
        cos, sin = (torch.stack(each) for each in zip(*pairs, strict=True))
        index, pair = torch.tensor(self.order), torch.arange(self.dim // 2)
        return tuple(each[index, :, :, pair].permute(1, 2, 0) for each in (cos, sin))  # type: ignore[return-value]


def rope_for(cfg: DecoderConfig) -> Rope:
    """The rotation of a configuration: head_dim, partial_rotary_factor, rope_theta,
    rope_scaling."""
    dim = int(cfg.head_dim * cfg.partial_rotary_factor)
    return Rope(dim, cfg.rope_theta, cfg.rope_scaling)
