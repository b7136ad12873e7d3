"""T5 1.1's encoder (Raffel et al. 2020; Shazeer 2020): relative positions, no scale, no biases."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import ACTIVATIONS, Embedding, Linear, RMSNorm, TaskModel
from tramontane.blocks.task_model import device_of
from tramontane.blocks.vision import EncoderLayer, Parts

from .config import T5Config


def buckets(tokens: int, count: int, most: int) -> Tensor:
    """The bucket of each distance, (tokens, tokens): half of the `count` for what comes later, in
    each half one a distance at first, then ever wider ones up to `most`."""
    places = torch.arange(tokens)
    apart = places[None] - places[:, None]
    half = count // 2
    exact = half // 2
    far = apart.abs()
    wide = torch.log(far.clamp(min=1).float() / exact) / math.log(most / exact) * (half - exact)
    large = (exact + wide.long()).clamp(max=half - 1)
    return torch.where(far < exact, far, large) + (apart > 0) * half


class T5Layer(EncoderLayer):
    """x + attention(norm(x)), then x + wo(gelu(wi_0(norm(x))) * wi_1(norm(x)))."""

    def __init__(self, cfg: T5Config) -> None:
        super().__init__()
        self.heads, wide = cfg.num_heads, cfg.num_heads * cfg.d_kv
        self.norm = RMSNorm(cfg.d_model, cfg.layer_norm_epsilon)
        self.q = Linear(cfg.d_model, wide)
        self.k = Linear(cfg.d_model, wide)
        self.v = Linear(cfg.d_model, wide)
        self.o = Linear(wide, cfg.d_model)
        self.mlp_norm = RMSNorm(cfg.d_model, cfg.layer_norm_epsilon)
        self.wi_0 = Linear(cfg.d_model, cfg.d_ff)
        self.wi_1 = Linear(cfg.d_model, cfg.d_ff)
        self.wo = Linear(cfg.d_ff, cfg.d_model)
        self.act = ACTIVATIONS["gelu_new"]

    def begin(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.norm(x)
        return self.q(x), self.k(x), self.v(x)

    def mix(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Parts:
        """bias: (heads, rows, rows), added to the scores."""
        yield None
        q, k, v = (each.transpose(0, 1)[None] for each in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, bias[None], scale=1.0)
        out: Tensor = mixed[0].transpose(0, 1).flatten(1)
        return out

    def end(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.o(mixed)
        y = self.mlp_norm(x)
        out: Tensor = x + self.wo(self.act(self.wi_0(y)) * self.wi_1(y))
        return out


class Biases(nn.Module):
    """What is added to scores by distance. Tensor: weight (buckets, heads)."""

    def __init__(self, cfg: T5Config) -> None:
        super().__init__()
        self.most = cfg.relative_attention_max_distance
        shape = cfg.relative_attention_num_buckets, cfg.num_heads
        self.weight = nn.Parameter(torch.empty(shape), requires_grad=False)

    def forward(self, tokens: int) -> Tensor:
        """(heads, tokens, tokens)."""
        found = buckets(tokens, self.weight.shape[0], self.most)
        return self.weight[found].permute(2, 0, 1).contiguous()


class T5Encoder(TaskModel):
    """Tensors: embed_tokens, biases, layers.N, norm."""

    cfg: T5Config

    def __init__(self, cfg: T5Config) -> None:
        super().__init__(cfg)
        self.embed_tokens = Embedding(cfg.vocab_size, cfg.d_model)
        self.biases = Biases(cfg)
        self.layers: Any = nn.ModuleList(T5Layer(cfg) for _ in range(cfg.num_layers))
        self.norm = RMSNorm(cfg.d_model, cfg.layer_norm_epsilon)

    def parts(self, ids: Tensor) -> Parts:
        """ids: (tokens) -> (tokens, d_model). Padding is attended to like any token. It may be
        interrupted where it yields."""
        x: Tensor = self.embed_tokens(ids.to(device_of(self)))
        bias = self.biases(len(ids)).to(x.dtype)
        for layer in self.layers:
            x = yield from layer.parts(x, bias)
            yield None
        out: Tensor = self.norm(x)
        return out
