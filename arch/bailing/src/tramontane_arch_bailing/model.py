"""Ling and Ring (BailingMoE): experts, some of them for every token, q, k and v in one matrix.

The first choose experts by softmax; 2.0 by sigmoid from groups, with a bias that balances the load,
and has norms of each head of q and k, half of which is rotated.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field
from torch import Tensor, nn
from tramontane.blocks import (
    Attention,
    BiasedRouter,
    CausalLM,
    Experts,
    GatedMLP,
    Lengths,
    PreNormLayer,
    RMSNorm,
    Router,
    SparseMoE,
    rope_for,
)
from tramontane.checkpoint.length_rules import LengthsOf
from tramontane.checkpoint.rules import EXPERTS, Deinterleave, Rename, Rule, Skip, Split
from tramontane.config import DecoderConfig


class BailingConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "num_local_experts": "num_experts",
        "n_shared_experts": "num_shared_experts",
    }
    hidden_act: Literal["silu"] = "silu"
    use_bias: Literal[False] = False
    use_qkv_bias: bool = Field(
        default=False, validation_alias=AliasChoices("use_qkv_bias", "qkv_bias")
    )
    moe_intermediate_size: int = Field(gt=0)
    num_experts: int = Field(gt=0)
    num_experts_per_tok: int = Field(gt=0)
    num_shared_experts: int = Field(default=0, ge=0)
    norm_topk_prob: bool = True
    first_k_dense_replace: int = Field(default=0, ge=0)
    norm_head: bool = False
    """Whether columns of the head are divided by their length."""
    norm_softmax: Literal[False] = False
    multi_gate: Literal[False] = False
    use_sliding_window: Literal[False] = False
    absent = MappingProxyType({"max_position_embeddings": 16_384})

    @property
    def shared(self) -> int:
        """How wide what every token passes through is."""
        return self.num_shared_experts * self.moe_intermediate_size


class Bailing2Config(BailingConfig):
    score_function: Literal["sigmoid"] = "sigmoid"
    moe_router_enable_expert_bias: Literal[True] = True
    use_qk_norm: bool = False
    n_group: int = Field(default=8, gt=0)
    topk_group: int = Field(default=4, gt=0)
    routed_scaling_factor: float = 1.0
    moe_shared_expert_intermediate_size: int | None = Field(
        default=None,
        gt=0,
        validation_alias=AliasChoices(
            "moe_shared_expert_intermediate_size", "shared_expert_intermediate_size"
        ),
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if (kind := values.get("expert_gating_func")) is not None:  # GGUF's word
            values["score_function"] = {2: "sigmoid"}.get(kind, kind)

    @property
    def shared(self) -> int:
        wide = self.moe_shared_expert_intermediate_size or self.moe_intermediate_size
        return self.num_shared_experts * wide


def attention(cfg: BailingConfig, index: int, *, normed: bool) -> Attention:
    norms = [RMSNorm(cfg.head_dim, cfg.rms_norm_eps) if normed else None for _ in "qk"]
    return Attention(
        cfg, index, rope=rope_for(cfg), q_norm=norms[0], k_norm=norms[1], bias=cfg.use_qkv_bias
    )


def mixture(cfg: BailingConfig, index: int, gate: Router) -> nn.Module:
    if index < cfg.first_k_dense_replace:
        return GatedMLP(cfg)
    shared = GatedMLP(cfg, wide=cfg.shared) if cfg.shared else None
    return SparseMoE(gate, Experts(cfg, cfg.num_experts, cfg.moe_intermediate_size), shared)


def layer(cfg: BailingConfig, index: int) -> PreNormLayer:
    sizes = (cfg.hidden_size, cfg.num_experts, cfg.num_experts_per_tok)
    gate = Router(*sizes, normalize=cfg.norm_topk_prob)
    return PreNormLayer(cfg, attention(cfg, index, normed=False), mixture(cfg, index, gate))


def layer_2(cfg: Bailing2Config, index: int) -> PreNormLayer:
    gate = BiasedRouter(
        cfg.hidden_size,
        cfg.num_experts,
        cfg.num_experts_per_tok,
        groups=(cfg.n_group, cfg.topk_group),
        normalize=cfg.norm_topk_prob,
        scale=cfg.routed_scaling_factor,
    )
    normed = attention(cfg, index, normed=cfg.use_qk_norm)
    return PreNormLayer(cfg, normed, mixture(cfg, index, gate))


class Bailing(CausalLM):
    Layer = staticmethod(layer)

    def __init__(self, cfg: BailingConfig) -> None:
        super().__init__(cfg)
        self.head_lengths = Lengths(cfg.hidden_size) if cfg.norm_head else None

    def logits(self, x: Tensor) -> Tensor:
        return super().logits(x if self.head_lengths is None else self.head_lengths(x))


class Bailing2(Bailing):
    Layer = staticmethod(layer_2)


QKV = Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"))


def weights(cfg: BailingConfig) -> dict[str, list[Rule]]:
    ahead = [cfg.num_hidden_layers + more for more in range(4)]  # layers that guess further tokens
    head = [LengthsOf("lm_head", "head_lengths", columns=True, more=1e-7)] if cfg.norm_head else []
    return {
        "hf": [
            Skip("*.rotary_emb"),
            *(Skip(f"model.layers.{index}.*") for index in ahead),
            Rename("model.word_embeddings", "model.embed_tokens"),
            Rename("*.attention.query_key_value", "*.self_attn.qkv_proj"),
            Rename("*.attention.dense", "*.self_attn.o_proj"),
            Rename("*.attention.query_layernorm", "*.self_attn.q_norm"),
            Rename("*.attention.key_layernorm", "*.self_attn.k_norm"),
            Rename("*.mlp.gate.gate_proj", "*.mlp.gate"),  # as mlx-lm saves it
            Rename("*.mlp.gate.expert_bias", "*.mlp.gate.balance"),
            *EXPERTS,
            *head,
            QKV,
        ],
        "gguf": [
            *(Skip(f"*.{index}.*") for index in ahead),
            Rename("blk.*.exp_probs_b.bias", "model.layers.*.mlp.gate.balance"),
            Rename("*.mlp.shared_expert.*", "*.mlp.shared_experts.*"),
            Deinterleave("*.q_proj"),
            Deinterleave("*.k_proj"),
        ],
    }


def weights_2(cfg: Bailing2Config) -> dict[str, list[Rule]]:
    rules = weights(cfg)
    halves = [rule for rule in rules["gguf"] if not isinstance(rule, Deinterleave)]
    return {"hf": rules["hf"], "gguf": [*halves, QKV]}
