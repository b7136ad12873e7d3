"""Normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from tramontane.config import DecoderConfig, LayerNormConfig


class NormOf(Protocol):
    """What makes a norm over the hidden vector."""

    def __call__(self, cfg: Any, /) -> nn.Module: ...


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last dimension (Zhang and Sennrich 2019), in float32."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(dim), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        # rounded to x's dtype before the weight multiplies, as the reference implementations do
        return self.weight * F.rms_norm(x.float(), (x.shape[-1],), None, self.eps).to(x.dtype)


class LayerNorm(nn.Module):
    """(x - mean) / deviation * weight + bias over the last dimension (Ba et al. 2016)."""

    def __init__(self, dim: int, eps: float, *, bias: bool = True) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(dim), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(dim), requires_grad=False) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (x.shape[-1],), self.weight, self.bias, self.eps)


def rms_norm(cfg: DecoderConfig) -> RMSNorm:
    """A norm over the hidden vector, as most families have it."""
    return RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)


def layer_norm(cfg: LayerNormConfig) -> LayerNorm:
    """The older kind, with a bias."""
    return LayerNorm(cfg.hidden_size, cfg.layer_norm_eps)
