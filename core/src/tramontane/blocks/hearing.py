"""Encoders of sounds (Radford et al. 2022): two convolutions over a spectrogram, learned positions,
full attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import AliasChoices, Field, model_validator
from torch import Tensor, nn

from tramontane.config.decoder import ModelConfig

from .activation import ACTIVATIONS, Gelu
from .linear import Linear
from .norm import LayerNorm
from .vision import EncoderLayer, Parts, Positions, VisionAttention, VisionConfig

EPS = 1e-5
"""Of all norms."""


class HearingConfig(ModelConfig):
    """The fields of `audio_config` of Whisper's encoder and its like, with the defaults of its
    large version, by their newer names or Whisper's own."""

    hidden_size: int = Field(
        default=1280, gt=0, le=2**16, strict=True,
        validation_alias=AliasChoices("hidden_size", "d_model"),
    )  # fmt: skip
    intermediate_size: int = Field(
        default=5120, gt=0, le=2**18, strict=True,
        validation_alias=AliasChoices("intermediate_size", "encoder_ffn_dim"),
    )  # fmt: skip
    num_hidden_layers: int = Field(
        default=32, gt=0, le=1024, strict=True,
        validation_alias=AliasChoices("num_hidden_layers", "encoder_layers"),
    )  # fmt: skip
    num_attention_heads: int = Field(
        default=20, gt=0, le=2**10, strict=True,
        validation_alias=AliasChoices("num_attention_heads", "encoder_attention_heads"),
    )  # fmt: skip
    num_mel_bins: int = Field(default=128, gt=0, le=2**10, strict=True)
    max_source_positions: int = Field(default=1500, gt=0, le=2**16, strict=True)
    activation_function: Gelu | Literal["quick_gelu", "relu", "silu"] = "gelu"

    @property
    def frames(self) -> int:
        """Of a spectrogram, as many as the encoder takes at once."""
        return 2 * self.max_source_positions

    @model_validator(mode="after")
    def _divides(self) -> HearingConfig:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                f"{self.num_attention_heads}"
            )
        return self


class Convolution(nn.Module):
    """gelu of a convolution over three frames: (n_in, frames) -> (n_out, frames / stride). Tensors:
    weight (n_out * n_in, 3), as the three dimensions of checkpoints are loaded, bias (n_out)."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(n_out * n_in, 3), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(n_out), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.unflatten(0, (-1, len(x)))
        x = x.to(weight.dtype)[None]
        return F.gelu(F.conv1d(x, weight, self.bias, self.stride, padding=1))[0]


class HearingLayer(EncoderLayer):
    """x + attention(norm(x)), then x + fc2(act(fc1(norm(x)))), (positions, hidden) -> the same
    shape. Tensors: self_attn_layer_norm, self_attn, whose k_proj has no bias, final_layer_norm,
    fc1, fc2."""

    def __init__(self, cfg: HearingConfig) -> None:
        super().__init__()
        hidden, wide = cfg.hidden_size, cfg.intermediate_size
        self.act = ACTIVATIONS[cfg.activation_function]
        self.self_attn_layer_norm = LayerNorm(hidden, EPS)
        self.heads = cfg.num_attention_heads
        self.self_attn = VisionAttention(
            VisionConfig(hidden_size=hidden, num_attention_heads=self.heads)
        )
        self.self_attn.k_proj = Linear(hidden, hidden)
        self.final_layer_norm = LayerNorm(hidden, EPS)
        self.fc1 = Linear(hidden, wide, bias=True)
        self.fc2 = Linear(wide, hidden, bias=True)

    def begin(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.self_attn.project(self.self_attn_layer_norm(x))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Parts:
        return self.self_attn.mix.parts(q, k, v, [len(q)])

    def end(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.self_attn.out_proj(mixed)
        x = x + self.fc2(self.act(self.fc1(self.final_layer_norm(x))))
        if x.dtype == torch.float16:  # Whisper's large numbers overflow there
            most = torch.finfo(x.dtype).max - 1000
            x = x.clamp(-most, most)
        return x


class HearingTower(nn.Module):
    """Whisper's encoder, for one piece of a sound: (bands, frames) -> (rows, hidden). pool:
    positions that are averaged behind the last layer. Tensors: conv1, conv2, embed_positions
    (positions, hidden), layers.N, layer_norm."""

    def __init__(self, cfg: HearingConfig, pool: int = 1) -> None:
        super().__init__()
        self.pool = pool
        self.conv1 = Convolution(cfg.num_mel_bins, cfg.hidden_size, 1)
        self.conv2 = Convolution(cfg.hidden_size, cfg.hidden_size, 2)
        self.embed_positions = Positions(cfg.max_source_positions, cfg.hidden_size)
        self.layers = nn.ModuleList(HearingLayer(cfg) for _ in range(cfg.num_hidden_layers))
        self.layer_norm = LayerNorm(cfg.hidden_size, EPS)

    def steps(self, features: Tensor, frames: int) -> Iterator[Tensor | None]:
        """features: (bands, `HearingConfig.frames`), of which the first `frames` are heard -> None
        after each layer, and last ((frames + 1) // 2 // pool, hidden)."""
        rows = (frames + 1) // 2
        x = self.conv2(self.conv1(features)).T[:rows]
        x = (x + self.embed_positions.weight[:rows]).to(x.dtype)
        layers: Any = self.layers
        for layer in layers:
            yield None
            x = yield from layer.parts(x)
        yield None
        if self.pool > 1:
            x = x[: rows // self.pool * self.pool].unflatten(0, (-1, self.pool)).mean(1)
        yield self.layer_norm(x)
