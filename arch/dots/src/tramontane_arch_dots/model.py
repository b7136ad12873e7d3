"""dots.llm1: Qwen3's attention with DeepSeek-V3's experts."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field
from tramontane.blocks import (
    Attention,
    CausalLM,
    GatedMLP,
    PreNormLayer,
    RMSNorm,
    balanced_moe,
    rope_for,
)
from tramontane.checkpoint.rules import EXPERTS, Rename, Skip
from tramontane.config import DecoderConfig


class Dots1Config(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {"num_local_experts": "n_routed_experts"}
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    moe_intermediate_size: int = Field(default=1408, gt=0)
    n_routed_experts: int = Field(gt=0)
    num_experts_per_tok: int = Field(gt=0)
    n_shared_experts: int = Field(gt=0)
    n_group: int = Field(default=1, gt=0)
    topk_group: int = Field(default=1, gt=0)
    routed_scaling_factor: float = 1.0
    norm_topk_prob: bool = False
    scoring_func: Literal["sigmoid", "noaux_tc"] = "sigmoid"  # one thing, by both names
    first_k_dense_replace: int = Field(default=0, ge=0)
    sliding_window: int | None = 4096
    max_window_layers: int = Field(default=62, ge=0)
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...] | None = None

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if "expert_gating_func" in values:  # 2 is how GGUF files say sigmoid
            told = values["expert_gating_func"]
            values |= {"scoring_func": "sigmoid" if told == 2 else told, "sliding_window": None}

    def window(self, index: int) -> int | None:
        """How many tokens back the layer sees; None: all."""
        if self.layer_types is not None:
            slides = self.layer_types[index] == "sliding_attention"
        else:
            slides = index >= self.max_window_layers
        return self.sliding_window if slides else None


def layer(cfg: Dots1Config, index: int) -> PreNormLayer:
    attention = Attention(
        cfg,
        index,
        rope=rope_for(cfg),
        q_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
        k_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
        window=cfg.window(index),
        bias=cfg.attention_bias,
        out_bias=cfg.attention_bias,
    )
    if index < cfg.first_k_dense_replace:
        return PreNormLayer(cfg, attention, GatedMLP(cfg))
    return PreNormLayer(cfg, attention, balanced_moe(cfg, cfg))


class Dots1(CausalLM):
    Layer = staticmethod(layer)


WEIGHTS = {
    "hf": [
        Skip("*.rotary_emb"),
        Rename("*.mlp.gate.e_score_correction_bias", "*.mlp.gate.balance"),
        *EXPERTS,
    ],
    "gguf": [
        Rename("blk.*.exp_probs_b.bias", "model.layers.*.mlp.gate.balance"),
        Rename("*.mlp.shared_expert.*", "*.mlp.shared_experts.*"),
    ],
}
