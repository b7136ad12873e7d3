"""MiniMax-Text-01 and M1: most layers are lightning attention, which keeps a state that decays at a
pace of each head and layer; the others are attention. Each half adds to what its norm made."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from tramontane.blocks import (
    Attention,
    CausalLM,
    DeltaRule,
    Experts,
    Linear,
    RMSNorm,
    Router,
    SparseMoE,
    rms_norm,
    rope_for,
)
from tramontane.checkpoint.rules import Rule, Skip, Split
from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch

from .model import EXPERT_RULES, read_rotary_dim

KINDS = ("linear_attention", "full_attention")
MADE_OF_SIZES = ("slope_rate", "query_decay", "key_decay", "diagonal_decay")


class MiniMaxConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "num_experts": "num_local_experts",
        **{
            f"layernorm_{theirs}_{factor}": f"{ours}_{factor}_factor"
            for theirs, ours in (
                ("full_attention", "full_attn"),
                ("linear_attention", "linear_attn"),
                ("mlp", "mlp"),
            )
            for factor in ("alpha", "beta")
        },
    }
    absent = MappingProxyType(
        {
            "num_key_value_heads": 8,
            "max_position_embeddings": 131_072,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1_000_000.0,
        }
    )
    hidden_act: Literal["silu"] = "silu"
    sliding_window: int | None = None
    num_local_experts: int = Field(default=8, gt=0)
    num_experts_per_tok: int = Field(default=2, gt=0)
    layer_types: tuple[Literal["linear_attention", "full_attention"], ...]
    full_attn_alpha_factor: float = 1.0
    full_attn_beta_factor: float = 1.0
    linear_attn_alpha_factor: float = 1.0
    linear_attn_beta_factor: float = 1.0
    mlp_alpha_factor: float = 1.0
    mlp_beta_factor: float = 1.0
    postnorm: Literal[True] = True
    shared_intermediate_size: Literal[0] = 0

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        read_rotary_dim(values)
        listed, layers = values.get("attn_type_list"), values.get("num_hidden_layers")
        if listed is not None and "layer_types" not in values:
            if not isinstance(listed, (list, tuple)) or not set(listed) <= {0, 1}:
                raise ValueError(
                    f"attn_type_list={listed!r} is no list of 0 (with a state) and 1 (attention)"
                )
            values["layer_types"] = [KINDS[kind] for kind in listed]
        if isinstance(layers, int) and 0 < layers <= 4096:
            values.setdefault("layer_types", [KINDS[(i + 1) % 2] for i in range(layers)])


class LightningAttention(nn.Module):
    """Linear attention of silu of q, k and v (Qin et al. 2024): S = decay S + k ⊗ v, and qᵀ S is
    normalized and multiplied with sigmoid(output_gate x); (tokens, hidden) -> (tokens, hidden).

    The decay of head i of n is exp(-2^(-8 (i + 1) / n)), and nearer to 1 in later layers.
    """

    def __init__(self, cfg: MiniMaxConfig, index: int) -> None:
        super().__init__()
        heads, d_head = cfg.num_attention_heads, cfg.head_dim
        self.heads, self.d_head = heads, d_head
        wide = heads * d_head
        self.q_proj = Linear(cfg.hidden_size, wide)
        self.k_proj = Linear(cfg.hidden_size, wide)
        self.v_proj = Linear(cfg.hidden_size, wide)
        self.rule = DeltaRule(heads, d_head, d_head, index)
        self.norm = RMSNorm(wide, 1e-6)
        self.output_gate = Linear(cfg.hidden_size, wide)
        self.out_proj = Linear(wide, cfg.hidden_size)
        pace = 1 - index / (cfg.num_hidden_layers - 1 + 1e-5) + 1e-5
        self.decays = [math.exp(-pace * 2 ** (-8 * (i + 1) / heads)) for i in range(heads)]

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        q, k, v = (
            F.silu(projection(x)).unflatten(-1, (-1, self.d_head))
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        decay = torch.tensor(self.decays, device=self.norm.weight.device)
        mixed = self.norm(self.rule(q, k, v, decay, None, batch).flatten(-2).to(x.dtype))
        out: Tensor = self.out_proj(torch.sigmoid(self.output_gate(x)) * mixed)
        return out


class PostNormResidualLayer(nn.Module):
    """n = norm(x), x = alpha n + beta attention(n), then the same with mlp; (tokens, hidden) ->
    (tokens, hidden)."""

    def __init__(self, cfg: MiniMaxConfig, index: int) -> None:
        super().__init__()
        linear = cfg.layer_types[index] == "linear_attention"
        self.input_layernorm = rms_norm(cfg)
        self.self_attn = LightningAttention(cfg, index) if linear else attention(cfg, index)
        self.post_attention_layernorm = rms_norm(cfg)
        self.mlp = mixture(cfg)
        full = (cfg.full_attn_alpha_factor, cfg.full_attn_beta_factor)
        self.attention_factors = (
            (cfg.linear_attn_alpha_factor, cfg.linear_attn_beta_factor) if linear else full
        )
        self.mlp_factors = (cfg.mlp_alpha_factor, cfg.mlp_beta_factor)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        (alpha, beta), normal = self.attention_factors, self.input_layernorm(x)
        x = alpha * normal + beta * self.self_attn(normal, batch)
        (alpha, beta), normal = self.mlp_factors, self.post_attention_layernorm(x)
        out: Tensor = alpha * normal + beta * self.mlp(normal)
        return out


def attention(cfg: MiniMaxConfig, index: int) -> Attention:
    return Attention(cfg, index, rope=rope_for(cfg), window=cfg.sliding_window)


def mixture(cfg: MiniMaxConfig) -> SparseMoE:
    count = cfg.num_local_experts
    gate = Router(cfg.hidden_size, count, cfg.num_experts_per_tok, normalize=True)
    return SparseMoE(gate, Experts(cfg, count, cfg.intermediate_size))


class MiniMax(CausalLM):
    Layer = PostNormResidualLayer


PARTS = ("q_proj", "k_proj", "v_proj")
WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("*.rotary_emb"),
        *(Skip(f"*.self_attn.{name}") for name in MADE_OF_SIZES),
        *EXPERT_RULES,
        Split("*.self_attn.qkv_proj", PARTS, per="heads"),
    ]
}
