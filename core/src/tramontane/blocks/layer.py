"""The wiring that most decoder layers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from .norm import RMSNorm

if TYPE_CHECKING:
    from tramontane.config import DecoderConfig
    from tramontane.engine.batch import Batch


class PreNormLayer(nn.Module):
    """Normalize, transform, add; twice."""

    def __init__(self, cfg: DecoderConfig, self_attn: nn.Module, mlp: nn.Module) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)
        self.self_attn = self_attn
        self.post_attention_layernorm = RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)
        self.mlp = mlp

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), batch)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out
