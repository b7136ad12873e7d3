"""Encoders of texts (Devlin et al. 2018): rows of several texts, one after the other, without
padding."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tramontane.config.encoder import EncoderConfig

from .embedding import Embedding
from .linear import Linear
from .mlp import MLP
from .norm import LayerNorm
from .rope import Rope
from .task_model import TaskModel, device_of
from .text_attention import TextAttention
from .vision import EncoderLayer, Parts, in_parts

BLOCK = 1024
"""Positions whose angles are computed at once: a position's bits do not depend on a text's
length."""


@dataclass(frozen=True)
class TokenTexts:
    """Texts as tokens, one behind the other. ids, positions, kinds: (rows) int64; kinds: which of a
    pair a token belongs to. lengths: rows of each text."""

    ids: Tensor
    positions: Tensor
    kinds: Tensor
    lengths: Sequence[int]
    angles: dict[tuple[object, ...], tuple[Tensor, Tensor]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, texts: Sequence[Sequence[int]], kinds: Sequence[Sequence[int]] | None = None
    ) -> TokenTexts:
        """From token ids of each text."""
        lengths = [len(text) for text in texts]
        ids = torch.tensor([token for text in texts for token in text], dtype=torch.int64)
        positions = torch.cat([torch.arange(length) for length in lengths])
        told = torch.zeros_like(ids)
        if kinds is not None:
            told = torch.tensor([kind for text in kinds for kind in text], dtype=torch.int64)
        return cls(ids, positions, told, lengths)

    def on(self, device: torch.device) -> TokenTexts:
        """The same on a device."""
        if device.type == "cpu":
            return self
        ids, positions, kinds = (x.to(device) for x in (self.ids, self.positions, self.kinds))
        return TokenTexts(ids, positions, kinds, self.lengths)

    def turned(self, x: Tensor, rope: Rope) -> Tensor:
        """x: (rows, heads, d) -> the same, rotated by the rows' positions."""
        if rope.settings not in self.angles:
            count = -(-max(self.lengths) // BLOCK)
            blocks = []
            for block in range(count):
                at = torch.arange(block * BLOCK, (block + 1) * BLOCK)
                blocks.append(rope.angles(at, torch.full_like(at, max(self.lengths))))
            self.angles[rope.settings] = tuple(
                torch.cat(each)[self.positions.cpu()].to(x.device)
                for each in zip(*blocks, strict=True)
            )  # type: ignore[assignment]
        cos, sin = self.angles[rope.settings]
        a, b = x[..., : rope.dim].float().chunk(2, -1)
        found = torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)
        return found if rope.dim == x.shape[-1] else torch.cat((found, x[..., rope.dim :]), -1)


class TextLayer(EncoderLayer):
    """A layer of an encoder of texts, (rows, hidden) -> the same; a subclass has `begin` and `end`.
    d_head: numbers of a head. rope: None where nothing is rotated. side: see `attend_texts`."""

    def __init__(
        self,
        d_head: int,
        *,
        rope: Rope | None = None,
        side: int | None = None,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.d_head, self.rope = d_head, rope
        self.attend = TextAttention(d_head, scale=scale, side=side)

    def parts(self, x: Tensor, *told: Any) -> Parts:
        (texts,) = told
        projected = yield from in_parts(self.begin, [x], self)
        q, k, v = (each.unflatten(-1, (-1, self.d_head)) for each in projected)
        if self.rope is not None:
            q, k = texts.turned(q, self.rope), texts.turned(k, self.rope)
        yield None
        mixed = self.mixed(q, k, v, texts)
        yield None
        (out,) = yield from in_parts(lambda *rows: (self.end(*rows),), [x, mixed], self)
        return out

    def mixed(self, q: Tensor, k: Tensor, v: Tensor, texts: TokenTexts) -> Tensor:
        """q: (rows, heads, d), k, v: (rows, kv_heads, d) -> (rows, heads * d)."""
        out: Tensor = self.attend(q, k, v, texts.lengths)
        return out


class SelfAttention(nn.Module):
    """The matrices of attention. Tensors: q_proj, k_proj, v_proj, o_proj."""

    def __init__(self, cfg: EncoderConfig, *, bias: bool = True) -> None:
        super().__init__()
        hidden = cfg.hidden_size
        self.q_proj = Linear(hidden, hidden, bias=bias)
        self.k_proj = Linear(hidden, hidden, bias=bias)
        self.v_proj = Linear(hidden, hidden, bias=bias)
        self.o_proj = Linear(hidden, hidden, bias=bias)


class PostNormTextLayer(TextLayer):
    """norm(x + attention(x)), then norm(x + mlp(x)), (rows, hidden) -> the same. mlp: a module of
    that shape; None: `MLP` with `act`. Tensors: self_attn, attn_norm, mlp, mlp_norm."""

    def __init__(
        self,
        cfg: EncoderConfig,
        *,
        act: Callable[[Tensor], Tensor] | None = None,
        mlp: nn.Module | None = None,
        rope: Rope | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__(cfg.head_dim, rope=rope)
        self.self_attn = SelfAttention(cfg, bias=bias)
        self.attn_norm = LayerNorm(cfg.hidden_size, cfg.layer_norm_eps)
        made: Any = mlp
        if mlp is None:
            assert act is not None
            made = MLP(cfg, act=act)  # type: ignore[arg-type]  # two sizes are all that it reads
        self.mlp = made
        self.mlp_norm = LayerNorm(cfg.hidden_size, cfg.layer_norm_eps)

    def begin(self, x: Tensor) -> tuple[Tensor, ...]:
        attention = self.self_attn
        return attention.q_proj(x), attention.k_proj(x), attention.v_proj(x)

    def end(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = self.attn_norm(x + self.self_attn.o_proj(mixed))
        out: Tensor = self.mlp_norm(x + self.mlp(x))
        return out


class TextStack(nn.Module):
    """The part of an encoder that is called "model": embeddings and layers."""

    def __init__(self, cfg: Any, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.embed_tokens = Embedding(cfg.vocab_size, cfg.hidden_size)
        self.layers: Any = nn.ModuleList(layers)


class TextEncoder(TaskModel):
    """An encoder of texts: embeddings with a norm behind their sum, layers, perhaps a last norm. A
    subclass builds `layers`, and has `head` where it scores pairs.

    positions: how many learned positions, or 0. kinds: how many vectors for the texts of a pair, or
    0. Tensors: model.embed_tokens (vocabulary, hidden),
    model.layers.N, positions (positions, hidden), kinds (kinds, hidden), embed_norm, last_norm.
    """

    def __init__(
        self,
        cfg: Any,
        layers: Iterable[nn.Module],
        *,
        positions: int = 0,
        kinds: int = 0,
        embed_norm: nn.Module | None = None,
        last_norm: nn.Module | None = None,
    ) -> None:
        super().__init__(cfg)
        hidden = cfg.hidden_size
        self.model = TextStack(cfg, layers)
        self.positions = Embedding(positions, hidden) if positions else None
        self.kinds = Embedding(kinds, hidden) if kinds else None
        self.embed_norm, self.last_norm = embed_norm, last_norm
        self.head: Any = None
        """What scores: rows (rows, hidden) behind the last layer and lengths of texts -> (texts,
        labels); None: it scores nothing."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text, at most."""
        return int(self.cfg.most_tokens)

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return int(self.cfg.hidden_size)

    def embed(self, texts: TokenTexts) -> Tensor:
        """(rows, hidden), in front of the first layer."""
        x: Tensor = self.model.embed_tokens(texts.ids)
        if self.kinds is not None:
            x = x + self.kinds(texts.kinds)
        if self.positions is not None:
            x = x + self.positions(texts.positions + self.cfg.first_position)
        out: Tensor = x if self.embed_norm is None else self.embed_norm(x)
        return out

    def rows(self, texts: TokenTexts) -> Generator[None, None, Tensor]:
        """(rows, hidden) behind the last layer, with places where it may be interrupted."""
        texts = texts.on(device_of(self))
        x = self.embed(texts)
        for layer in self.model.layers:
            yield None
            x = yield from layer.parts(x, texts)
        out: Tensor = x if self.last_norm is None else self.last_norm(x)
        return out
