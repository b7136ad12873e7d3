"""The wirings that decoder layers of more than one family share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from .norm import NormOf, rms_norm

if TYPE_CHECKING:
    from tramontane.config import DecoderConfig
    from tramontane.engine.batch import Batch


class PreNormLayer(nn.Module):
    """Normalize, transform, add; twice."""

    def __init__(
        self, cfg: DecoderConfig, self_attn: nn.Module, mlp: nn.Module, *, norm: NormOf = rms_norm
    ) -> None:
        super().__init__()
        self.input_layernorm = norm(cfg)
        self.self_attn = self_attn
        self.post_attention_layernorm = norm(cfg)
        self.mlp = mlp

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), batch)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class SandwichNormLayer(nn.Module):
    """Normalize before and after each half."""

    def __init__(
        self, cfg: DecoderConfig, self_attn: nn.Module, mlp: nn.Module, *, norm: NormOf = rms_norm
    ) -> None:
        super().__init__()
        self.input_layernorm = norm(cfg)
        self.self_attn = self_attn
        self.post_attention_layernorm = norm(cfg)
        self.pre_feedforward_layernorm = norm(cfg)
        self.mlp = mlp
        self.post_feedforward_layernorm = norm(cfg)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x + self.post_attention_layernorm(self.self_attn(self.input_layernorm(x), batch))
        out = self.mlp(self.pre_feedforward_layernorm(x))
        return x + self.post_feedforward_layernorm(out)  # type: ignore[no-any-return]


class ParallelLayer(nn.Module):
    """Both halves read the same normalized vector (Wang and Komatsuzaki 2021)."""

    def __init__(
        self, cfg: DecoderConfig, self_attn: nn.Module, mlp: nn.Module, *, norm: NormOf = rms_norm
    ) -> None:
        super().__init__()
        self.input_layernorm = norm(cfg)
        self.self_attn = self_attn
        self.mlp = mlp

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        normal = self.input_layernorm(x)
        out: Tensor = x + self.self_attn(normal, batch) + self.mlp(normal)
        return out


class ParallelNormsLayer(PreNormLayer):
    """Both halves read the same vector, each by its own norm."""

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        mixed = self.self_attn(self.input_layernorm(x), batch)
        out: Tensor = x + mixed + self.mlp(self.post_attention_layernorm(x))
        return out
