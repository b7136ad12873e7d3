"""OLMo: Llama with norms that have no weights, and a bound on queries, keys and values."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from tramontane.blocks import CausalLM, GatedMLP, PreNormLayer, rope_for
from tramontane.checkpoint.rules import Deinterleave, Rule
from tramontane.config import LayerNormConfig

from .attention import OlmoAttention


class OlmoConfig(LayerNormConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    clip_qkv: float | None = Field(default=None, gt=0)


class PlainNorm(nn.Module):
    """(x - mean) / sqrt(variance + eps), in float32; (..., dim) -> the same shape and dtype."""

    def __init__(self, cfg: LayerNormConfig) -> None:
        super().__init__()
        self.eps = cfg.layer_norm_eps

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.float(), x.shape[-1:], eps=self.eps).to(x.dtype)


def layer(cfg: OlmoConfig, index: int) -> PreNormLayer:
    rope, bias = rope_for(cfg), cfg.attention_bias
    attention = OlmoAttention(cfg, index, rope=rope, bias=bias, normed=False, clip=cfg.clip_qkv)
    return PreNormLayer(cfg, attention, GatedMLP(cfg), norm=PlainNorm)


class Olmo(CausalLM):
    Layer = staticmethod(layer)
    Norm = PlainNorm


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [],
    "gguf": [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")],
}
