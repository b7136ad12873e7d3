"""Normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from tramontane.config import DecoderConfig, LayerNormConfig


class NormOf(Protocol):
    """What builds a norm over the hidden vector: (cfg) -> a module, (tokens, hidden) -> the
    same."""

    def __call__(self, cfg: Any, /) -> nn.Module: ...


class RMSNorm(nn.Module):
    """x / sqrt(mean(x²) + eps) * weight over the last dimension, of `dim` numbers, in float32
    (Zhang and Sennrich 2019). x: (..., dim) -> the same shape and dtype. weight: (dim).
    """

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(dim), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        # rounded to x's dtype before the weight multiplies, as the reference implementations do
        return self.weight * F.rms_norm(x.float(), (x.shape[-1],), None, self.eps).to(x.dtype)


class LayerNorm(nn.Module):
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last dimension, of `dim` numbers
    (Ba et al. 2016). x: (..., dim) -> the same shape and dtype. weight, bias: (dim).
    """

    def __init__(self, dim: int, eps: float, *, bias: bool = True) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(dim), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(dim), requires_grad=False) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (x.shape[-1],), self.weight, self.bias, self.eps)


class HeadNorm(nn.Module):
    """A norm of each head by itself, x (tokens, heads, d_head) -> the same shape, in float32.

    dim: d_head. heads: None, one weight (d_head) that all heads share; a number, a weight of each
    head, (heads, d_head), as Cohere's Command R+ has. center: subtract the mean (`LayerNorm`)
    instead of dividing by the root of the mean square alone (`RMSNorm`). bias: added after the
    weight, of its shape; only with center. eps: added to the mean square, no unit. weighted: False
    leaves the weight out.

    It is what `Attention` takes as q_norm and k_norm. With one weight for all heads it equals
    `RMSNorm(d_head, eps)` or `LayerNorm(d_head, eps)`. For a norm across all heads (OLMo 2), use
    `RMSNorm(heads * d_head, eps)` in `Attention.project` instead.

    Raises ValueError for a bias without center.
    """

    def __init__(
        self,
        dim: int,
        eps: float,
        *,
        heads: int | None = None,
        center: bool = False,
        bias: bool = False,
        weighted: bool = True,
    ) -> None:
        super().__init__()
        if bias and not center:
            raise ValueError("bias=True needs center=True: RMS norms have none")
        self.eps, self.center = eps, center
        shape = (dim,) if heads is None else (heads, dim)
        self.weight = nn.Parameter(torch.empty(shape), requires_grad=False) if weighted else None
        self.bias = nn.Parameter(torch.empty(shape), requires_grad=False) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if not self.center:
            normal = F.rms_norm(x.float(), (x.shape[-1],), None, self.eps)
            normal = normal.to(x.dtype)
            return normal if self.weight is None else self.weight * normal
        normal = F.layer_norm(x.float(), (x.shape[-1],), None, None, self.eps)
        out = normal if self.weight is None else self.weight.float() * normal
        return (out if self.bias is None else out + self.bias.float()).to(x.dtype)


def rms_norm(cfg: DecoderConfig) -> RMSNorm:
    """`RMSNorm` over the hidden vector, with rms_norm_eps of the configuration."""
    return RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)


def layer_norm(cfg: LayerNormConfig) -> LayerNorm:
    """`LayerNorm` with a bias over the hidden vector, with layer_norm_eps of the configuration."""
    return LayerNorm(cfg.hidden_size, cfg.layer_norm_eps)
