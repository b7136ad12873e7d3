"""Gemma 3n's encoder of sounds, a conformer (Gulati et al. 2020; Zhang et al. 2023): two
convolutions over a spectrogram, then layers of attention within a window between two feed-forward
halves, with a convolution over five positions.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import Linear, RMSNorm

from .gemma3n_subsample import EPS, ConformerConfig, SubsampleProjection, Weight


class Distances(nn.Module):
    """What a query scores at each distance of a key: its product with a vector of the distance, of
    sines and cosines through a matrix."""

    def __init__(self, cfg: ConformerConfig) -> None:
        super().__init__()
        self.hidden, self.heads = cfg.hidden_size, cfg.conf_num_attention_heads
        self.pos_proj = Linear(cfg.hidden_size, cfg.hidden_size)

    def forward(self, q: Tensor, back: int, ahead: int) -> Tensor:
        """q: (heads, positions, d) -> (heads, positions, back + 1 + ahead), the farthest back
        first."""
        half = self.hidden // 2
        step = math.log(1e4) / max(half - 1, 1)
        rates = torch.exp(torch.arange(half, device=q.device) * -step)
        angles = torch.arange(back, -ahead - 1, -1, device=q.device)[:, None].float() * rates
        waves = torch.cat((angles.sin(), angles.cos()), -1).to(q.dtype)
        vectors = self.pos_proj(waves).unflatten(-1, (self.heads, -1))
        out: Tensor = q @ vectors.permute(1, 2, 0)
        return out


class ConformerAttention(nn.Module):
    """Attention of positions within a window, (positions, hidden) -> the same."""

    def __init__(self, cfg: ConformerConfig) -> None:
        super().__init__()
        self.heads, hidden = cfg.conf_num_attention_heads, cfg.hidden_size
        self.back = max(0, cfg.conf_attention_context_left - 1)
        self.ahead, self.cap = cfg.conf_attention_context_right, cfg.conf_attention_logit_cap
        self.scale = (hidden // self.heads) ** -0.5 / math.log(2)
        self.relative_position_embedding = Distances(cfg)
        shape = (hidden // self.heads,)
        self.per_dim_scale = nn.Parameter(torch.empty(shape), requires_grad=False)
        self.q_proj, self.k_proj = Linear(hidden, hidden), Linear(hidden, hidden)
        self.v_proj = Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(0, 1)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q = q * self.scale * F.softplus(self.per_dim_scale)
        near = self.relative_position_embedding(q, self.back, self.ahead)
        places = torch.arange(len(x), device=x.device)
        distance = self.back + places[None] - places[:, None]  # of a key, from the farthest back
        seen = (distance >= 0) & (distance < near.shape[-1])
        index = distance.clamp(0, near.shape[-1] - 1).expand(self.heads, -1, -1)
        scores = q @ k.transpose(1, 2) + near.gather(-1, index)
        scores = torch.tanh(scores / self.cap) * self.cap
        scores = scores.masked_fill(~seen, torch.finfo(scores.dtype).min)
        mixed: Tensor = torch.softmax(scores.float(), -1).to(v.dtype) @ v
        return mixed.transpose(0, 1).flatten(1)


class AttentionPart(nn.Module):
    """x + norm(post(attention(norm(x)))), (positions, hidden) -> the same."""

    def __init__(self, cfg: ConformerConfig) -> None:
        super().__init__()
        self.most = cfg.gradient_clipping
        self.pre_attn_norm = RMSNorm(cfg.hidden_size, EPS)
        self.attn = ConformerAttention(cfg)
        self.post = Linear(cfg.hidden_size, cfg.hidden_size)
        self.post_norm = RMSNorm(cfg.hidden_size, EPS)

    def forward(self, x: Tensor) -> Tensor:
        told = self.post(self.attn(self.pre_attn_norm(x.clamp(-self.most, self.most))))
        out: Tensor = x + self.post_norm(told.clamp(-self.most, self.most))
        return out


class FeedForward(nn.Module):
    """x + share * norm(layer_2(silu(layer_1(norm(x))))), (positions, hidden) -> the same."""

    def __init__(self, cfg: ConformerConfig) -> None:
        super().__init__()
        hidden = cfg.hidden_size
        self.most, self.share = cfg.gradient_clipping, cfg.conf_residual_weight
        self.pre_layer_norm = RMSNorm(hidden, EPS)
        self.ffw_layer_1 = Linear(hidden, 4 * hidden)
        self.ffw_layer_2 = Linear(4 * hidden, hidden)
        self.post_layer_norm = RMSNorm(hidden, EPS)

    def forward(self, x: Tensor) -> Tensor:
        normal = self.pre_layer_norm(x.clamp(-self.most, self.most))
        told = self.ffw_layer_2(F.silu(self.ffw_layer_1(normal)))
        out: Tensor = x + self.post_layer_norm(told.clamp(-self.most, self.most)) * self.share
        return out


class LightConvolution(nn.Module):
    """x + end(silu(norm(convolution(glu(start(norm(x))))))), (positions, hidden) -> the same; the
    convolution is of each number by itself, over a position and those before it."""

    def __init__(self, cfg: ConformerConfig) -> None:
        super().__init__()
        hidden = cfg.hidden_size
        self.most, self.before = cfg.gradient_clipping, cfg.conf_conv_kernel_size - 1
        self.pre_layer_norm = RMSNorm(hidden, cfg.rms_norm_eps)
        self.linear_start = Linear(hidden, 2 * hidden)
        self.depthwise_conv1d = Weight(hidden, cfg.conf_conv_kernel_size)
        self.conv_norm = RMSNorm(hidden, cfg.rms_norm_eps)
        self.linear_end = Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        gated = F.pad(F.glu(self.linear_start(self.pre_layer_norm(x)), -1).T, (self.before, 0))
        weight = self.depthwise_conv1d.weight[:, None]
        mixed = F.conv1d(gated.to(weight.dtype)[None], weight, groups=len(weight))[0].T
        normal = self.conv_norm(mixed.clamp(-self.most, self.most))
        out: Tensor = self.linear_end(F.silu(normal)) + x
        return out


class ConformerLayer(nn.Module):
    """(positions, hidden) -> the same."""

    def __init__(self, cfg: ConformerConfig) -> None:
        super().__init__()
        self.most = cfg.gradient_clipping
        self.ffw_layer_start = FeedForward(cfg)
        self.attention = AttentionPart(cfg)
        self.lconv1d = LightConvolution(cfg)
        self.ffw_layer_end = FeedForward(cfg)
        self.norm = RMSNorm(cfg.hidden_size, EPS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.ffw_layer_end(self.lconv1d(self.attention(self.ffw_layer_start(x))))
        out: Tensor = self.norm(x.clamp(-self.most, self.most))
        return out


class Conformer(nn.Module):
    """Tensors: subsample_conv_projection, conformer.N."""

    def __init__(self, cfg: ConformerConfig) -> None:
        super().__init__()
        self.every = cfg.conf_reduction_factor
        self.subsample_conv_projection = SubsampleProjection(cfg)
        layers = (ConformerLayer(cfg) for _ in range(cfg.conf_num_hidden_layers))
        self.conformer = nn.ModuleList(layers)

    def steps(self, features: Tensor) -> Iterator[Tensor | None]:
        """features: (frames, bands) -> None after each layer, and last (rows, hidden)."""
        x: Tensor = self.subsample_conv_projection(features)
        for layer in self.conformer:
            yield None
            x = layer(x)
        yield None
        yield x[:: self.every]
