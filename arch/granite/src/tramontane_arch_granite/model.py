"""Granite 3: Llama with four scalar multipliers; with experts, whose matrices are fused, and
a feed-forward half that all tokens share."""

from typing import ClassVar, Literal

from pydantic import AliasChoices, Field
from torch import Tensor, nn
from tramontane.blocks import (
    Attention,
    CausalLM,
    Experts,
    GatedMLP,
    LayerOf,
    Router,
    ScaledLayer,
    SparseMoE,
    rope_for,
)
from tramontane.checkpoint.rules import Deinterleave, Rename, Rule, Skip, Split
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

    rope_finetuned: bool = True
    """How GGUF files say whether queries and keys are rotated."""

    @property
    def rotary(self) -> bool:
        return self.rope_finetuned


class GraniteMoeConfig(GraniteConfig):
    num_local_experts: int = Field(default=8, gt=0)
    num_experts_per_tok: int = Field(default=2, gt=0)
    shared_intermediate_size: int = Field(
        default=0,
        ge=0,
        le=2**22,
        validation_alias=AliasChoices(
            "shared_intermediate_size", "shared_expert_intermediate_size"
        ),
    )


def attention(cfg: GraniteConfig, index: int) -> Attention:
    bias, scale = cfg.attention_bias, cfg.attention_multiplier
    rope = rope_for(cfg) if cfg.rotary else None
    return Attention(cfg, index, rope=rope, scale=scale, bias=bias, out_bias=bias)


def layer(cfg: GraniteConfig, index: int, mlp: nn.Module) -> ScaledLayer:
    return ScaledLayer(cfg, attention(cfg, index), mlp, gain=cfg.residual_multiplier)


def dense_layer(cfg: GraniteConfig, index: int) -> ScaledLayer:
    return layer(cfg, index, GatedMLP(cfg, bias=cfg.mlp_bias))


def mixture(cfg: GraniteMoeConfig) -> SparseMoE:
    count = cfg.num_local_experts
    gate = Router(cfg.hidden_size, count, cfg.num_experts_per_tok, normalize=True)
    wide = cfg.shared_intermediate_size
    shared = GatedMLP(cfg, wide=wide) if wide else None
    experts = Experts(cfg, count, cfg.intermediate_size)
    return SparseMoE(gate, experts, shared)


def moe_layer(cfg: GraniteMoeConfig, index: int) -> ScaledLayer:
    return layer(cfg, index, mixture(cfg))


class Granite(CausalLM):
    Layer: ClassVar[LayerOf] = staticmethod(dense_layer)
    cfg: GraniteConfig

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        return super().embed(tokens, batch) * self.cfg.embedding_multiplier

    def logits(self, x: Tensor) -> Tensor:
        return super().logits(x) / self.cfg.logits_scaling


class GraniteMoe(Granite):
    Layer = staticmethod(moe_layer)


INTERLEAVED: list[Rule] = [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")]
HALVES = ("gate_proj", "up_proj")
SHARED_EXPERTS = Rename("*.mlp.shared_expert.*", "*.mlp.shared_experts.*")
WEIGHTS = {"hf": [Skip("*.rotary_emb")], "gguf": INTERLEAVED}
MOE_WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("*.rotary_emb"),
        # as transformers 5 has them in memory and may save them
        Rename("*.block_sparse_moe.router", "*.mlp.gate"),
        Rename("*.block_sparse_moe.experts.gate_up_proj", "*.mlp.experts.gate_up_proj.weight"),
        Rename("*.block_sparse_moe.experts.down_proj", "*.mlp.experts.down_proj.weight"),
        Rename("*.block_sparse_moe.router.layer", "*.mlp.gate"),
        Rename("*.block_sparse_moe.input_linear", "*.mlp.experts.gate_up_proj"),
        Rename("*.block_sparse_moe.output_linear", "*.mlp.experts.down_proj"),
        Rename("*.block_sparse_moe.switch_mlp.*", "*.mlp.experts.*"),
        Split("*.experts.gate_up_proj", HALVES, per="count"),
        Rename("*.shared_mlp.input_linear", "*.mlp.shared_experts.gate_up_proj"),
        Rename("*.shared_mlp.output_linear", "*.mlp.shared_experts.down_proj"),
        Split("*.shared_experts.gate_up_proj", HALVES),
    ],
    "gguf": [*INTERLEAVED, SHARED_EXPERTS],
}
SHARED_WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Rename("*.shared_mlp.input_linear", "*.mlp.gate_up_proj"),
        Rename("*.shared_mlp.output_linear", "*.mlp.down_proj"),
        Split("*.mlp.gate_up_proj", HALVES),
    ],
}
