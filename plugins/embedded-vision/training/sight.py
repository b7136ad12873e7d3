"""Idefics3 in plain torch: SigLIP's encoder, squares of its patches joined to rows, and Llama.

The text layers are those of the embedded text model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import neighbour  # noqa: F401
import torch
from model import Block, RMSNorm, Shape, rotary
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Eyes:
    """The sizes of the encoder."""

    side: int = 64
    patch: int = 8
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    ffn: int = 320
    scale: int = 2
    """A row is of scale x scale patches."""
    eps: float = 1e-6


def text_shape(vocabulary: int) -> Shape:
    return Shape(vocab=vocabulary, hidden=128, layers=4, heads=4, kv_heads=2, head_dim=32, ffn=320,
                 context=256)  # fmt: skip


@dataclass
class Batch:
    """pixels: (pictures, side, side, 3) of 0 to 255. tokens: (talks, length). source: (talks,
    length), the row of the pictures that stands for a token, -1 where the token stands for itself.
    chosen: places, numbered across the batch, of which the next token is learnt; targets, these.
    """

    pixels: Tensor
    tokens: Tensor
    source: Tensor
    chosen: Tensor
    targets: Tensor
    mask: Tensor = field(default_factory=lambda: torch.empty(0))


class EncoderLayer(nn.Module):
    def __init__(self, eyes: Eyes) -> None:
        super().__init__()
        self.heads = eyes.heads
        self.layer_norm1 = nn.LayerNorm(eyes.hidden, eyes.eps)
        self.q_proj = nn.Linear(eyes.hidden, eyes.hidden)
        self.k_proj = nn.Linear(eyes.hidden, eyes.hidden)
        self.v_proj = nn.Linear(eyes.hidden, eyes.hidden)
        self.out_proj = nn.Linear(eyes.hidden, eyes.hidden)
        self.layer_norm2 = nn.LayerNorm(eyes.hidden, eyes.eps)
        self.fc1 = nn.Linear(eyes.hidden, eyes.ffn)
        self.fc2 = nn.Linear(eyes.ffn, eyes.hidden)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer_norm1(x)
        q, k, v = (
            each(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in (self.q_proj, self.k_proj, self.v_proj)
        )
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        seen = torch.softmax(scores, -1).to(v.dtype) @ v
        x = x + self.out_proj(seen.transpose(1, 2).flatten(2))
        fed: Tensor = self.fc2(F.gelu(self.fc1(self.layer_norm2(x)), approximate="tanh"))
        return x + fed


class Encoder(nn.Module):
    def __init__(self, eyes: Eyes) -> None:
        super().__init__()
        self.eyes = eyes
        self.patch_embedding = nn.Linear(3 * eyes.patch**2, eyes.hidden)
        self.position_embedding = nn.Parameter(
            torch.zeros((eyes.side // eyes.patch) ** 2, eyes.hidden)
        )
        self.layers = nn.ModuleList(EncoderLayer(eyes) for _ in range(eyes.layers))
        self.post_layernorm = nn.LayerNorm(eyes.hidden, eyes.eps)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (pictures, side, side, 3) -> (pictures, patches, hidden)."""
        eyes, count = self.eyes, self.eyes.side // self.eyes.patch
        scaled = pixels.float() / 127.5 - 1
        patches = scaled.view(-1, count, eyes.patch, count, eyes.patch, 3).permute(0, 1, 3, 5, 2, 4)
        x = self.patch_embedding(patches.flatten(3).flatten(1, 2)) + self.position_embedding
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.post_layernorm(x)
        return out


class Seeing(nn.Module):
    cos: Tensor
    sin: Tensor

    def __init__(self, eyes: Eyes, shape: Shape) -> None:
        super().__init__()
        self.eyes, self.shape = eyes, shape
        self.encoder = Encoder(eyes)
        self.connector = nn.Linear(eyes.scale**2 * eyes.hidden, shape.hidden, bias=False)
        self.embed_tokens = nn.Embedding(shape.vocab, shape.hidden)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.hidden, shape.eps)
        cos, sin = rotary(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        deep = ("o_proj.weight", "down_proj.weight", "out_proj.weight", "fc2.weight")
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.01 if name.endswith(deep) else 0.04)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def rows(self, pixels: Tensor) -> Tensor:
        """(pictures, side, side, 3) -> (pictures * rows, hidden)."""
        scale, count = self.eyes.scale, self.eyes.side // self.eyes.patch // self.eyes.scale
        grid = self.encoder(pixels).unflatten(1, (count, scale, count, scale)).transpose(2, 3)
        out: Tensor = self.connector(grid.flatten(3).flatten(0, 2))
        return out

    def forward(self, batch: Batch) -> Tensor:
        """Logits [chosen, vocabulary]."""
        return self.logits(batch.pixels, batch.tokens, batch.source, batch.mask, batch.chosen)

    def logits(
        self, pixels: Tensor, tokens: Tensor, source: Tensor, mask: Tensor, chosen: Tensor
    ) -> Tensor:
        rows, length = self.rows(pixels), tokens.shape[1]
        seen = rows[source.clamp(min=0)].float()
        x = torch.where(source[..., None] >= 0, seen, self.embed_tokens(tokens))
        for number, layer in enumerate(self.layers, 1):
            last = chosen if number == len(self.layers) else None
            x = layer(x, self.cos[:length], self.sin[:length], mask, last)
        return F.linear(self.norm(x), self.embed_tokens.weight)
