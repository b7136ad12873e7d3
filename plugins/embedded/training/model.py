"""A Llama model in plain torch, laid out and named as Hugging Face checkpoints are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    """The sizes of a model. Every row length is a multiple of 32, the block of Q8_0."""

    vocab: int = 2048
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    ffn: int = 704
    context: int = 512
    rope_base: float = 10000.0
    eps: float = 1e-5


class RMSNorm(nn.Module):
    """Root mean square normalisation, computed in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return (wide * scale * self.weight).to(x.dtype)


def rotary(shape: Shape) -> tuple[Tensor, Tensor]:
    """The cosines and sines of every position, for the half-split form of RoPE."""
    steps = torch.arange(0, shape.head_dim, 2, dtype=torch.float32) / shape.head_dim
    angles = torch.outer(torch.arange(shape.context).float(), shape.rope_base**-steps)
    return angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (i, i + half) of a head by its position's angle."""
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-high, low), dim=-1) * sin


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and added to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, narrow = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self.input_layernorm = RMSNorm(shape.hidden, shape.eps)
        self.q_proj = nn.Linear(shape.hidden, width, bias=False)
        self.k_proj = nn.Linear(shape.hidden, narrow, bias=False)
        self.v_proj = nn.Linear(shape.hidden, narrow, bias=False)
        self.o_proj = nn.Linear(width, shape.hidden, bias=False)
        self.post_attention_layernorm = RMSNorm(shape.hidden, shape.eps)
        self.gate_proj = nn.Linear(shape.hidden, shape.ffn, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.ffn, bias=False)
        self.down_proj = nn.Linear(shape.ffn, shape.hidden, bias=False)

    def attend(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        batch, length, _ = x.shape
        shape = self.shape
        q = self.q_proj(x).view(batch, length, shape.heads, shape.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(batch, length, shape.kv_heads, shape.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, shape.kv_heads, shape.head_dim).transpose(1, 2)
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        groups = shape.heads // shape.kv_heads
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        # Written out: at these sizes it takes less than half the time of the fused CPU kernel.
        scores = (q @ k.transpose(-1, -2)) * shape.head_dim**-0.5 + mask.to(v.dtype)
        y = torch.softmax(scores, dim=-1).to(v.dtype) @ v
        joined: Tensor = self.o_proj(y.transpose(1, 2).reshape(batch, length, -1))
        return joined

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, chosen: Tensor | None = None
    ) -> Tensor:
        """The stream behind this layer; if tokens are chosen, of these only, [count, hidden]."""
        x = x + self.attend(self.input_layernorm(x), cos, sin, mask)
        if chosen is not None:
            x = x.flatten(0, 1).index_select(0, chosen)
        y = self.post_attention_layernorm(x)
        fed: Tensor = self.down_proj(F.silu(self.gate_proj(y)) * self.up_proj(y))
        return x + fed


class Llama(nn.Module):
    """The whole model; the head is the embedding."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab, shape.hidden)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.hidden, shape.eps)
        cos, sin = rotary(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.reset()

    def reset(self) -> None:
        """Small normal weights; what writes into the stream is smaller the deeper the model."""
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                deep = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=0.03 / (2 * self.shape.layers) ** 0.5 if deep else 0.03)

    def forward(self, tokens: Tensor, mask: Tensor, chosen: Tensor) -> Tensor:
        """Logits [chosen, vocab] of the chosen tokens, which are numbered across the batch.

        The mask, added to the scores, is [batch, 1, length, length]. What nobody learns from needs
        no logits, and of the last layer no more than its keys and values.
        """
        length = tokens.shape[1]
        x = self.embed_tokens(tokens)
        for number, layer in enumerate(self.layers, 1):
            last = chosen if number == len(self.layers) else None
            x = layer(x, self.cos[:length], self.sin[:length], mask, last)
        return F.linear(self.norm(x), self.embed_tokens.weight)


def visible(owners: Tensor) -> Tensor:
    """The mask by which every token sees the earlier ones of its own document only."""
    length = owners.shape[-1]
    same = owners[:, :, None] == owners[:, None, :]
    seen = same & torch.ones(length, length, dtype=torch.bool).tril()
    return torch.zeros(seen.shape).masked_fill(~seen, -1e4)[:, None].to(torch.bfloat16)
