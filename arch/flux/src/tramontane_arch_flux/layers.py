"""Layers of FLUX.1's transformer: text and image in streams of their own, or in one."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import ACTIVATIONS, HeadNorm, Linear
from tramontane.blocks.vision import EncoderLayer, PackedAttention, Parts, in_parts

from .config import FluxConfig

EPS = 1e-6
GELU = ACTIVATIONS["gelu_pytorch_tanh"]


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """norm(x) * (1 + scale) + shift, all (rows, hidden)."""
    return F.layer_norm(x, (x.shape[-1],), None, None, EPS) * (1 + scale) + shift


def turned(x: Tensor, by: Tensor) -> Tensor:
    """x: (rows, heads, d), each pair of adjacent numbers turned. by: (rows, 1, d / 2) complex."""
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * by).flatten(2).to(x.dtype)


class Projecting(EncoderLayer):
    """What both kinds of layers begin with. Tensors: modulation, qkv (3 hidden, hidden), norm_q,
    norm_k (d)."""

    def __init__(self, cfg: FluxConfig, modulations: int) -> None:
        super().__init__()
        hidden, self.heads = cfg.hidden_size, cfg.num_attention_heads
        self.modulation = Linear(hidden, modulations * hidden, bias=True)
        self.qkv = Linear(hidden, 3 * hidden, bias=True)
        self.norm_q = HeadNorm(cfg.attention_head_dim, EPS)
        self.norm_k = HeadNorm(cfg.attention_head_dim, EPS)
        self.act = GELU

    def begin(self, x: Tensor, *by: Tensor) -> tuple[Tensor, ...]:
        """x: (rows, hidden); by: shift and scale of each row."""
        q, k, v = self.qkv(modulated(x, *by)).chunk(3, -1)
        q = self.norm_q(q.unflatten(-1, (self.heads, -1))).flatten(-2)
        k = self.norm_k(k.unflatten(-1, (self.heads, -1))).flatten(-2)
        return q, k, v


class Stream(Projecting):
    """A layer of the text or the image, which look at each other between `begin` and `end`.

    Tensors: modulation (6 hidden, hidden), qkv, norm_q, norm_k, out (hidden, hidden), up (4 hidden,
    hidden), down (hidden, 4 hidden)."""

    def __init__(self, cfg: FluxConfig) -> None:
        super().__init__(cfg, 6)
        hidden = cfg.hidden_size
        self.out = Linear(hidden, hidden, bias=True)
        self.up = Linear(hidden, 4 * hidden, bias=True)
        self.down = Linear(4 * hidden, hidden, bias=True)

    def end(self, x: Tensor, mixed: Tensor, *by: Tensor) -> Tensor:
        """by: gate of the attention, then shift, scale and gate of the feed-forward half."""
        gate, shift, scale, gate_up = by
        x = x + gate * self.out(mixed)
        out: Tensor = x + gate_up * self.down(self.act(self.up(modulated(x, shift, scale))))
        return out


class DoubleLayer(nn.Module):
    """A layer in which text and image have matrices of their own. Tensors: text, image."""

    def __init__(self, cfg: FluxConfig) -> None:
        super().__init__()
        self.text, self.image = Stream(cfg), Stream(cfg)
        self.mix = PackedAttention()

    def parts(
        self, text: Tensor, image: Tensor, about: Tensor, by: Tensor
    ) -> Generator[None, None, tuple[Tensor, Tensor]]:
        """text, image: (rows, hidden) -> the same. about: silu of the conditions, (1, hidden)."""
        streams = (self.text, text), (self.image, image)
        shapes = [stream.modulation(about).chunk(6, -1) for stream, _ in streams]
        found: list[tuple[Tensor, ...]] = []
        for (stream, x), each in zip(streams, shapes, strict=True):
            wide = [part.expand(len(x), -1) for part in each[:2]]
            found.append((yield from in_parts(stream.begin, [x, *wide], stream)))
        q, k, v = (torch.cat(both).unflatten(-1, (self.text.heads, -1)) for both in
                   zip(*found, strict=True))  # fmt: skip
        yield None
        mixed = yield from self.mix.parts(turned(q, by), turned(k, by), v, [len(q)])
        yield None
        out = []
        parted = mixed.split([len(text), len(image)])
        for (stream, x), each, part in zip(streams, shapes, parted, strict=True):
            wide = [one.expand(len(x), -1) for one in each[2:]]
            (end,) = yield from in_parts(_alone(stream), [x, part, *wide], stream)
            out.append(end)
        return out[0], out[1]


def _alone(layer: Any) -> Any:
    return lambda *rows: (layer.end(*rows),)


class SingleLayer(Projecting):
    """A layer in which text and image are one, and attention and feed-forward stand side by side.

    Tensors: modulation (3 hidden, hidden), qkv, norm_q, norm_k, up (4 hidden, hidden), out (hidden,
    5 hidden)."""

    def __init__(self, cfg: FluxConfig) -> None:
        super().__init__(cfg, 3)
        hidden = cfg.hidden_size
        self.up = Linear(hidden, 4 * hidden, bias=True)
        self.out = Linear(5 * hidden, hidden, bias=True)
        self.mixing = PackedAttention()

    def end(self, x: Tensor, mixed: Tensor, *by: Tensor) -> Tensor:
        """by: shift, scale and gate."""
        shift, scale, gate = by
        wide = self.act(self.up(modulated(x, shift, scale)))
        out: Tensor = x + gate * self.out(torch.cat((mixed, wide), -1))
        return out

    def parts(self, x: Tensor, about: Tensor, by: Tensor) -> Parts:
        """x: (rows, hidden) -> the same."""
        shift, scale, gate = (
            part.expand(len(x), -1) for part in self.modulation(about).chunk(3, -1)
        )
        found = yield from in_parts(self.begin, [x, shift, scale], self)
        q, k, v = (each.unflatten(-1, (self.heads, -1)) for each in found)
        yield None
        mixed = yield from self.mixing.parts(turned(q, by), turned(k, by), v, [len(x)])
        yield None
        (out,) = yield from in_parts(_alone(self), [x, mixed, shift, scale, gate], self)
        return out
