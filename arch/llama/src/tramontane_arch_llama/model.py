"""Llama 1 to 3, Mistral, Mixtral, and every checkpoint that is Llama under another name.

Mistral differs by its sliding window, Mixtral by experts; GGUF files store the rows of q and k in
another order.
"""

from types import MappingProxyType
from typing import Literal

from pydantic import Field
from tramontane.blocks import (
    Attention,
    CausalLM,
    Experts,
    GatedMLP,
    PreNormLayer,
    Router,
    SparseMoE,
    rope_for,
)
from tramontane.checkpoint.rules import EXPERTS, Deinterleave, Rename, Skip
from tramontane.config import DecoderConfig


class LlamaConfig(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    attention_out_bias: bool | None = None
    """Of the output alone, where it differs: GGUF files may have any of the biases."""
    mlp_bias: bool = False

    @property
    def out_bias(self) -> bool:
        told = self.attention_out_bias
        return self.attention_bias if told is None else told


class MistralConfig(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    sliding_window: int | None = 4096
    absent = MappingProxyType({"max_position_embeddings": 131_072})


class MixtralConfig(LlamaConfig):
    sliding_window: int | None = None
    absent = MappingProxyType(
        {"max_position_embeddings": 131_072, "rms_norm_eps": 1e-5, "rope_theta": 1e6}
    )
    num_local_experts: int = Field(default=8, gt=0)
    num_experts_per_tok: int = Field(default=2, gt=0)


class LlamaLayer(PreNormLayer):
    def __init__(self, cfg: LlamaConfig, index: int) -> None:
        bias, out_bias = cfg.attention_bias, cfg.out_bias
        attention = Attention(cfg, index, rope=rope_for(cfg), bias=bias, out_bias=out_bias)
        super().__init__(cfg, attention, GatedMLP(cfg, bias=cfg.mlp_bias))


class MistralLayer(PreNormLayer):
    def __init__(self, cfg: MistralConfig, index: int) -> None:
        attention = Attention(cfg, index, rope=rope_for(cfg), window=cfg.sliding_window)
        super().__init__(cfg, attention, GatedMLP(cfg))


class MixtralLayer(PreNormLayer):
    def __init__(self, cfg: MixtralConfig, index: int) -> None:
        attention = Attention(
            cfg,
            index,
            rope=rope_for(cfg),
            window=cfg.sliding_window,
            bias=cfg.attention_bias,
            out_bias=cfg.out_bias,
        )
        count, chosen = cfg.num_local_experts, cfg.num_experts_per_tok
        gate = Router(cfg.hidden_size, count, chosen, normalize=True)
        experts = Experts(cfg, count, cfg.intermediate_size)
        super().__init__(cfg, attention, SparseMoE(gate, experts))


class Llama(CausalLM):
    Layer = LlamaLayer


class Mistral(CausalLM):
    Layer = MistralLayer


class Mixtral(CausalLM):
    Layer = MixtralLayer


INTERLEAVED = [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")]
WEIGHTS = {"hf": [Skip("*.rotary_emb")], "gguf": INTERLEAVED}
MIXTRAL_WEIGHTS = {
    "hf": [
        Rename("*.block_sparse_moe.gate", "*.mlp.gate"),
        Rename("*.block_sparse_moe.experts.*.w1", "*.mlp.experts.*.gate_proj"),
        Rename("*.block_sparse_moe.experts.*.w2", "*.mlp.experts.*.down_proj"),
        Rename("*.block_sparse_moe.experts.*.w3", "*.mlp.experts.*.up_proj"),
        Rename("*.block_sparse_moe.experts.*", "*.mlp.experts.*"),
        Rename("*.block_sparse_moe.switch_mlp.*", "*.mlp.switch_mlp.*"),
        *EXPERTS,
    ],
    "gguf": INTERLEAVED,
}
