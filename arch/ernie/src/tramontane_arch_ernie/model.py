"""ERNIE 4.5: Llama that rotates adjacent pairs; with experts, whose choice a bias balances."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field
from torch import nn
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
from tramontane.checkpoint.rules import (
    EXPERTS,
    Deinterleave,
    Kept,
    Rename,
    Rule,
    Skip,
)
from tramontane.config import DecoderConfig
from tramontane.layouts import Dense, Layout

LONG = {"max_position_embeddings": 131_072, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0}


class ErnieConfig(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    use_bias: bool = False
    tie_word_embeddings: bool = True
    absent = MappingProxyType({**LONG, "head_dim": 128, "num_key_value_heads": 2})


class ErnieMoeConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "num_experts": "moe_num_experts",
        "num_local_experts": "moe_num_experts",
        "num_experts_per_tok": "moe_k",
        "n_shared_experts": "moe_num_shared_experts",
        "first_k_dense_replace": "moe_layer_start_index",
        "interleave_moe_layer_step": "moe_layer_interval",
    }
    hidden_act: Literal["silu"] = "silu"
    use_bias: Literal[False] = False
    tie_word_embeddings: bool = True
    moe_intermediate_size: int = Field(default=1536, gt=0)
    moe_num_experts: int = Field(default=64, gt=0)
    moe_k: int = Field(default=6, gt=0)
    moe_num_shared_experts: int = Field(default=2, ge=0)
    moe_layer_start_index: int = Field(default=1, ge=0)
    moe_layer_end_index: int = Field(default=-1, ge=-1)
    """The last layer that may have experts; -1: the last of all."""
    moe_layer_interval: int = Field(default=1, gt=0)
    moe_norm_min: float = Field(default=1e-12, ge=0, le=1e-6)
    """The least that weights are divided by, which the sum of the best never comes near."""
    absent = MappingProxyType({**LONG, "num_key_value_heads": 4})

    def has_experts(self, index: int) -> bool:
        last = self.moe_layer_end_index
        within = index >= self.moe_layer_start_index and (last == -1 or index <= last)
        return within and (index + 1) % self.moe_layer_interval == 0


def layer(cfg: ErnieConfig, index: int) -> PreNormLayer:
    bias = cfg.use_bias
    attention = Attention(cfg, index, rope=rope_for(cfg), bias=bias, out_bias=bias)
    return PreNormLayer(cfg, attention, GatedMLP(cfg, bias=bias))


def moe_layer(cfg: ErnieMoeConfig, index: int) -> PreNormLayer:
    attention = Attention(cfg, index, rope=rope_for(cfg))
    if not cfg.has_experts(index):
        return PreNormLayer(cfg, attention, GatedMLP(cfg))
    count, wide = cfg.moe_num_experts, cfg.moe_intermediate_size
    gate = Router(cfg.hidden_size, count, cfg.moe_k, normalize=True, balanced=True)
    shared = cfg.moe_num_shared_experts * wide
    beside = GatedMLP(cfg, wide=shared) if shared else None
    return PreNormLayer(cfg, attention, SparseMoE(gate, Experts(cfg, count, wide), beside))


class Ernie(CausalLM):
    Layer = staticmethod(layer)


class ErnieMoe(CausalLM):
    Layer = staticmethod(moe_layer)


@dataclass(frozen=True)
class Flatten(Kept):
    """A vector that checkpoints hold as a matrix of one row."""

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        return Dense(layout.decode().reshape(-1))


PAIRS: list[Rule] = [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")]
BALANCE = Flatten("*.mlp.gate.balance")
WEIGHTS = {"hf": PAIRS, "gguf": PAIRS}
MOE_WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("model.mtp_*"),  # layers that guess further tokens
        Rename("*.mlp.moe_statics.e_score_correction_bias", "*.mlp.gate.balance"),
        Rename("*.mlp.gate.moe_statics.e_score_correction_bias", "*.mlp.gate.balance"),
        BALANCE,
        *EXPERTS,
        *PAIRS,
    ],
    "gguf": [
        Rename("blk.*.exp_probs_b.bias", "model.layers.*.mlp.gate.balance"),
        BALANCE,
        Rename("*.mlp.shared_expert.*", "*.mlp.shared_experts.*"),
        *PAIRS,
    ],
}
