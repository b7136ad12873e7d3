"""MiniMax-M2: Llama's wiring, norms of q and k across all heads, experts chosen by sigmoid."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor
from tramontane.blocks import (
    Attention,
    BiasedRouter,
    CausalLM,
    Experts,
    PreNormLayer,
    RMSNorm,
    SparseMoE,
    rope_for,
)
from tramontane.checkpoint.rules import EXPERTS, Rename, Rule, Skip
from tramontane.config import DecoderConfig
from tramontane.config.rope_settings import rotary_part


class MiniMaxM2Config(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {"num_experts": "num_local_experts"}
    hidden_act: Literal["silu"] = "silu"
    num_local_experts: int = Field(default=256, gt=0)
    num_experts_per_tok: int = Field(default=8, gt=0)
    scoring_func: Literal["sigmoid"] = "sigmoid"
    use_qk_norm: Literal[True] = True
    qk_norm_type: Literal["per_layer"] = "per_layer"
    use_routing_bias: Literal[True] = True
    shared_intermediate_size: Literal[0] = 0
    attn_type_list: tuple[Literal[1], ...] = ()
    absent = MappingProxyType(
        {"max_position_embeddings": 196_608, "rope_theta": 5_000_000.0, "head_dim": 128}
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if values.get("expert_gating_func", 2) != 2:  # 2 is how GGUF files say sigmoid
            values["scoring_func"] = values["expert_gating_func"]
        values.setdefault("head_dim", 128)
        read_rotary_dim(values)


def read_rotary_dim(values: dict[str, Any]) -> None:
    """How checkpoints say `partial_rotary_factor`: numbers of a head that rotate."""
    rotated, whole = values.get("rotary_dim"), values.get("head_dim")
    heads, hidden = values.get("num_attention_heads"), values.get("hidden_size")
    if whole is None and isinstance(heads, int) and isinstance(hidden, int) and heads > 0:
        whole = hidden // heads
    if rotated is not None:
        if not (isinstance(rotated, int) and isinstance(whole, int) and 0 < rotated <= whole):
            raise ValueError(f"rotary_dim {rotated!r} of head_dim {whole!r} cannot be rotated")
        values.setdefault("partial_rotary_factor", rotary_part(rotated, whole))


class WideNormAttention(Attention):
    """Attention whose queries and keys are normalized over all heads at once."""

    def __init__(self, cfg: MiniMaxM2Config, index: int) -> None:
        super().__init__(cfg, index, rope=rope_for(cfg))
        self.q_norm_wide = RMSNorm(cfg.num_attention_heads * cfg.head_dim, cfg.rms_norm_eps)
        self.k_norm_wide = RMSNorm(cfg.num_key_value_heads * cfg.head_dim, cfg.rms_norm_eps)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = super().project(x)
        return self.q_norm_wide(q), self.k_norm_wide(k), v


def layer(cfg: MiniMaxM2Config, index: int) -> PreNormLayer:
    sizes = (cfg.hidden_size, cfg.num_local_experts, cfg.num_experts_per_tok)
    gate = BiasedRouter(*sizes, groups=(1, 1), normalize=True)
    experts = Experts(cfg, cfg.num_local_experts, cfg.intermediate_size)
    return PreNormLayer(cfg, WideNormAttention(cfg, index), SparseMoE(gate, experts))


class MiniMaxM2(CausalLM):
    Layer = staticmethod(layer)


WIDE = [Rename(f"*.self_attn.{part}_norm", f"*.self_attn.{part}_norm_wide") for part in "qk"]
PARTS = (("w1", "gate_proj"), ("w2", "down_proj"), ("w3", "up_proj"))
EXPERT_RULES: list[Rule] = [
    Rename("*.block_sparse_moe.*", "*.mlp.*"),
    *(Rename(f"*.experts.*.{theirs}", f"*.experts.*.{ours}") for theirs, ours in PARTS),
    *EXPERTS,
]


def weights(cfg: MiniMaxM2Config) -> dict[str, list[Rule]]:
    # layers that guess further tokens
    ahead = range(cfg.num_hidden_layers, cfg.num_hidden_layers + 4)
    return {
        "hf": [
            Skip("*.rotary_emb"),
            *(Skip(f"model.layers.{index}.*") for index in ahead),
            *WIDE,
            *EXPERT_RULES,
            Rename("*.mlp.e_score_correction_bias", "*.mlp.gate.balance"),
        ],
        "gguf": [*WIDE, Rename("blk.*.exp_probs_b.bias", "model.layers.*.mlp.gate.balance")],
    }
