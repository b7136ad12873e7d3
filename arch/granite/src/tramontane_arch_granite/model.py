"""Granite 3: Llama with four scalar multipliers; with experts, whose matrices are fused."""

from typing import ClassVar, Literal

from pydantic import AliasChoices, Field
from torch import Tensor, nn
from tramontane.blocks import (
    Attention,
    CausalLM,
    Experts,
    GatedMLP,
    LayerOf,
    PreNormLayer,
    Router,
    SparseMoE,
    rope_for,
)
from tramontane.checkpoint.rules import Deinterleave, Rename, Skip, Split
from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch


class GraniteConfig(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    embedding_multiplier: float = 1.0
    attention_multiplier: float = 1.0
    residual_multiplier: float = 1.0
    logits_scaling: float = Field(
        default=1.0, gt=0, validation_alias=AliasChoices("logits_scaling", "logit_scale")
    )


class GraniteMoeConfig(GraniteConfig):
    num_local_experts: int = Field(default=8, gt=0)
    num_experts_per_tok: int = Field(default=2, gt=0)


class ScaledLayer(PreNormLayer):
    """What each half adds is multiplied."""

    def __init__(self, cfg: GraniteConfig, index: int, mlp: nn.Module) -> None:
        bias, scale = cfg.attention_bias, cfg.attention_multiplier
        rope = rope_for(cfg)
        attention = Attention(cfg, index, rope=rope, scale=scale, bias=bias, out_bias=bias)
        super().__init__(cfg, attention, mlp)
        self.gain = cfg.residual_multiplier

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x + self.gain * self.self_attn(self.input_layernorm(x), batch)
        out: Tensor = x + self.gain * self.mlp(self.post_attention_layernorm(x))
        return out


def dense_layer(cfg: GraniteConfig, index: int) -> ScaledLayer:
    return ScaledLayer(cfg, index, GatedMLP(cfg, bias=cfg.mlp_bias))


def moe_layer(cfg: GraniteMoeConfig, index: int) -> ScaledLayer:
    count = cfg.num_local_experts
    gate = Router(cfg.hidden_size, count, cfg.num_experts_per_tok, normalize=True)
    return ScaledLayer(cfg, index, SparseMoE(gate, Experts(cfg, count, cfg.intermediate_size)))


class Granite(CausalLM):
    Layer: ClassVar[LayerOf] = staticmethod(dense_layer)
    cfg: GraniteConfig

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        return super().embed(tokens, batch) * self.cfg.embedding_multiplier

    def logits(self, x: Tensor) -> Tensor:
        return super().logits(x) / self.cfg.logits_scaling


class GraniteMoe(Granite):
    Layer = staticmethod(moe_layer)


INTERLEAVED = [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")]
WEIGHTS = {"hf": [Skip("*.rotary_emb")], "gguf": INTERLEAVED}
MOE_WEIGHTS = {
    "hf": [
        Skip("*.rotary_emb"),
        Rename("*.block_sparse_moe.router.layer", "*.mlp.gate"),
        Rename("*.block_sparse_moe.input_linear", "*.mlp.experts.gate_up_proj"),
        Rename("*.block_sparse_moe.output_linear", "*.mlp.experts.down_proj"),
        Split("*.experts.gate_up_proj", ("gate_proj", "up_proj"), per="count"),
    ],
    "gguf": INTERLEAVED,
}
