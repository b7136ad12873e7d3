"""The encoder of sounds of Phi-4-multimodal, a conformer (Gulati et al. 2020): convolutions that
shorten a spectrogram, then layers of attention with a bias of distances and a convolution over
positions before, between two feed-forward halves.

A sound of more than PIECE positions is heard in pieces; the last is filled with zeros, which are
attended to, as the checkpoint's own code does.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import LayerNorm, Linear

from .phi4_config import SoundsConfig
from .phi4_shorten import SHORTENED, Shorten, Weights, vector

EPS = 1e-5
"""Of all norms."""
PIECE = 500
"""Positions that attend to each other."""


class FeedForward(nn.Module):
    """down_proj(up * silu(gate)) of a norm, up and gate being the halves of wide_proj."""

    def __init__(self, cfg: SoundsConfig) -> None:
        super().__init__()
        self.layer_norm = LayerNorm(cfg.hidden_size, EPS)
        self.wide_proj = Linear(cfg.hidden_size, 2 * cfg.intermediate_size, bias=True)
        self.down_proj = Linear(cfg.intermediate_size, cfg.hidden_size, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        up, gate = self.wide_proj(self.layer_norm(x)).chunk(2, -1)
        out: Tensor = self.down_proj(up * F.silu(gate))
        return out


class Attention(nn.Module):
    def __init__(self, cfg: SoundsConfig) -> None:
        super().__init__()
        self.heads = cfg.num_attention_heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            Linear(cfg.hidden_size, cfg.hidden_size, bias=True) for _ in range(4)
        )

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x: (positions, hidden). bias: (heads, positions, positions)."""
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(0, 1)[None]
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, bias.to(q.dtype)[None])
        out: Tensor = self.o_proj(mixed[0].transpose(0, 1).flatten(1))
        return out


class Gate(nn.Module):
    """(a + b1) * silu(b + b2), a and b being the halves of a product. Tensors: ext_pw_conv_1d, b1,
    b2 (hidden)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.ext_pw_conv_1d = Linear(hidden, 2 * hidden, bias=True)
        self.b1, self.b2 = vector(hidden), vector(hidden)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.ext_pw_conv_1d(x).chunk(2, -1)
        out: Tensor = (a + self.b1) * F.silu(b + self.b2)
        return out


class Depthwise(nn.Module):
    """A convolution of each number by itself, over a position and those before, and a matrix.
    Tensors: dw_conv (hidden * multiplier, size), pw_conv."""

    def __init__(self, cfg: SoundsConfig) -> None:
        super().__init__()
        wide, self.size = cfg.hidden_size * cfg.depthwise_multiplier, cfg.kernel_size
        self.dw_conv = Weights(wide, self.size)
        self.pw_conv = Linear(wide, cfg.hidden_size, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.dw_conv.weight[:, None].to(x.dtype)
        padded = F.pad(x.T, (self.size - 1, 0))[None]
        made = F.conv1d(padded, weight, self.dw_conv.bias.to(x.dtype), groups=x.shape[1])
        out: Tensor = self.pw_conv(made[0].T)
        return out


class Convolution(nn.Module):
    def __init__(self, cfg: SoundsConfig) -> None:
        super().__init__()
        self.layer_norm = LayerNorm(cfg.hidden_size, EPS)
        self.glu, self.dw_sep_conv_1d = Gate(cfg.hidden_size), Depthwise(cfg)
        self.ext_pw_conv_1d = Linear(cfg.hidden_size, cfg.hidden_size, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dw_sep_conv_1d(self.glu(self.layer_norm(x)))
        out: Tensor = self.ext_pw_conv_1d(F.silu(x))
        return out


class ConformerLayer(nn.Module):
    def __init__(self, cfg: SoundsConfig) -> None:
        super().__init__()
        self.feed_forward_in, self.feed_forward_out = FeedForward(cfg), FeedForward(cfg)
        self.self_attn, self.conv = Attention(cfg), Convolution(cfg)
        self.layer_norm_att = LayerNorm(cfg.hidden_size, EPS)
        self.layer_norm = LayerNorm(cfg.hidden_size, EPS)

    def steps(self, x: Tensor, bias: Tensor) -> Iterator[Tensor | None]:
        """x: (positions, hidden) -> None within, last the same shape."""
        x = x + 0.5 * self.feed_forward_in(x)
        yield None
        x = x + self.self_attn(self.layer_norm_att(x), bias)
        yield None
        x = x + self.conv(x)
        yield None
        x = x + 0.5 * self.feed_forward_out(x)
        yield self.layer_norm(x)


class Distances(nn.Module):
    """Tensor: bias_values (2 * farthest, heads), of each distance from -farthest on."""

    def __init__(self, cfg: SoundsConfig) -> None:
        super().__init__()
        self.farthest = cfg.bias_max_distance
        self.bias_values = nn.Module()
        self.bias_values.weight = vector(2 * self.farthest, cfg.num_attention_heads)

    def forward(self, count: int) -> Tensor:
        """(heads, count, count): what a query, a row, adds to a key's score."""
        weight: Any = self.bias_values.weight
        places = torch.arange(count, device=weight.device)
        away = (places[None] - places[:, None]).clamp(-self.farthest, self.farthest - 1)
        out: Tensor = weight[away + self.farthest].permute(2, 0, 1)
        return out


class Normal(nn.Module):
    """Of each band. Tensors: global_mean, global_invstd (bands)."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.global_mean, self.global_invstd = vector(bands), vector(bands)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.global_mean) * self.global_invstd


class Conformer(nn.Module):
    """Tensors: encoder_embedding, embed, relative_attention_bias_layer, encoders.N."""

    def __init__(self, cfg: SoundsConfig) -> None:
        super().__init__()
        self.encoder_embedding = Normal(cfg.input_size)
        self.embed = Shorten(cfg)
        self.relative_attention_bias_layer = Distances(cfg)
        self.encoders = nn.ModuleList(ConformerLayer(cfg) for _ in range(cfg.num_blocks))
        positions = SHORTENED * cfg.time_reduction // 2 * (-(-cfg.input_size // 2))
        self.encoding_bytes = 3 * 4 * cfg.nemo_conv_channels * positions

    def steps(self, features: Tensor) -> Iterator[Tensor | None]:
        """features: (frames, bands) -> None within, last (positions, hidden)."""
        heard: Tensor | None = None
        for heard in self.embed.steps(self.encoder_embedding(features)):
            if heard is None:
                yield None
        assert heard is not None
        count, found = len(heard), list[Tensor]()
        for piece in heard.split(PIECE):
            if count > PIECE:
                piece = F.pad(piece, (0, 0, 0, PIECE - len(piece)))
            yield from self.encoded(piece, found)
        yield torch.cat(found)[:count]

    def encoded(self, x: Tensor, found: list[Tensor]) -> Iterator[None]:
        """Add what becomes of a piece to those that are found."""
        bias = self.relative_attention_bias_layer(len(x))
        layers: Any = self.encoders
        for layer in layers:
            for made in layer.steps(x, bias):
                yield None
                x = x if made is None else made
        found.append(x)
