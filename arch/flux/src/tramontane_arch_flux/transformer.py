"""FLUX.1's transformer: rows of a text and of an image, in streams of their own, then in one."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import Linear, TaskModel
from tramontane.blocks.vision import Parts

from .config import FluxConfig
from .latents import turns
from .layers import DoubleLayer, SingleLayer, modulated


class TimeEmbedding(nn.Module):
    """linear_2(silu(linear_1(x))), (1, wide) -> (1, hidden)."""

    def __init__(self, wide: int, hidden: int) -> None:
        super().__init__()
        self.linear_1 = Linear(wide, hidden, bias=True)
        self.linear_2 = Linear(hidden, hidden, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear_2(F.silu(self.linear_1(x)))
        return out


def waves(value: float, wide: int = 256) -> Tensor:
    """cos, then sin, of a number at many frequencies, (1, wide)."""
    exponent = -math.log(10_000) * torch.arange(wide // 2, dtype=torch.float32) / (wide // 2)
    angles = torch.tensor([[value]], dtype=torch.float32) * exponent.exp()
    return torch.cat((angles.cos(), angles.sin()), 1)


class Conditions(nn.Module):
    """One vector of the time, the guidance, and the text as a whole: (1, hidden)."""

    def __init__(self, cfg: FluxConfig) -> None:
        super().__init__()
        self.timestep_embedder = TimeEmbedding(256, cfg.hidden_size)
        if cfg.guidance_embeds:
            self.guidance_embedder = TimeEmbedding(256, cfg.hidden_size)
        self.text_embedder = TimeEmbedding(cfg.pooled_projection_dim, cfg.hidden_size)
        self.guided = cfg.guidance_embeds

    def forward(self, sigma: float, guidance: float, pooled: Tensor) -> Tensor:
        x: Tensor = self.timestep_embedder(waves(sigma * 1000).to(pooled))
        if self.guided:
            x = x + self.guidance_embedder(waves(guidance * 1000).to(pooled))
        return x + cast("Tensor", self.text_embedder(pooled))


class FluxTransformer(TaskModel):
    """Which way an image lies from its noise. Tensors: x_embedder, context_embedder, conditions,
    transformer_blocks, single_transformer_blocks, norm_out (2 hidden, hidden: scale, shift),
    proj_out."""

    cfg: FluxConfig

    def __init__(self, cfg: FluxConfig) -> None:
        super().__init__(cfg)
        hidden = cfg.hidden_size
        self.x_embedder = Linear(cfg.in_channels, hidden, bias=True)
        self.context_embedder = Linear(cfg.joint_attention_dim, hidden, bias=True)
        self.conditions = Conditions(cfg)
        self.transformer_blocks: Any = nn.ModuleList(
            DoubleLayer(cfg) for _ in range(cfg.num_layers)
        )
        self.single_transformer_blocks: Any = nn.ModuleList(
            SingleLayer(cfg) for _ in range(cfg.num_single_layers)
        )
        self.norm_out = Linear(hidden, 2 * hidden, bias=True)
        self.proj_out = Linear(hidden, cfg.in_channels, bias=True)

    @property
    def working_bytes(self) -> int:
        """Of an image of 1024 x 1024 and 512 tokens: twelve vectors of each row, in float32."""
        return 12 * 4 * (4096 + 512) * self.cfg.hidden_size

    def parts(
        self,
        latents: Tensor,
        size: tuple[int, int],
        text: Tensor,
        pooled: Tensor,
        sigma: float,
        guidance: float,
    ) -> Parts:
        """latents: (h * w, in_channels) of `size` (h, w) -> what they change by at sigma, the share
        of noise, of the same shape. text: (tokens, joint_attention_dim); pooled: (1,
        pooled_projection_dim). It may be interrupted where it yields."""
        about = F.silu(self.conditions(sigma, guidance, pooled))
        by = turns(len(text), *size, self.cfg.axes_dims_rope).to(latents.device)
        x, words = self.x_embedder(latents), self.context_embedder(text)
        for layer in self.transformer_blocks:
            words, x = yield from layer.parts(words, x, about, by)
            yield None
        x = torch.cat((words, x))
        for layer in self.single_transformer_blocks:
            x = yield from layer.parts(x, about, by)
            yield None
        scale, shift = self.norm_out(about).chunk(2, -1)
        out: Tensor = self.proj_out(modulated(x[len(text) :], shift, scale))
        return out
