"""HunYuan V1: Llama's wiring, with norms of q and k behind the rotation; dense, or with experts.

Checkpoints stretch the rotation by alpha: its base becomes theta * alpha^(d / (d - 2)).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor
from tramontane.blocks import (
    Attention,
    CausalLM,
    Experts,
    GatedMLP,
    PreNormLayer,
    RMSNorm,
    Router,
    SparseMoE,
    rope_for,
)
from tramontane.checkpoint.rules import EXPERTS, Rename, Skip
from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch


class HunYuanConfig(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    mlp_bias: Literal[False] = False
    use_qk_norm: Literal[True] = True
    use_cla: Literal[False] = False
    absent: ClassVar[Mapping[str, Any]] = {"rms_norm_eps": 1e-5}

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        for key in ("rope_scaling", "rope_parameters"):
            values |= with_alpha(values, key)


class HunYuanMoEConfig(HunYuanConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "num_local_experts": "num_experts",
        "moe_topk": "num_experts_per_tok",
    }
    num_experts: int = Field(default=1, gt=0)
    num_experts_per_tok: int = Field(default=1, gt=0)

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        for name in ("num_experts", "num_experts_per_tok"):  # may be told by layer
            told = values.get(name)
            if isinstance(told, (list, tuple)) and told and all(each == told[0] for each in told):
                values[name] = told[0]
        wide = values.get("moe_intermediate_size")
        wide = wide if isinstance(wide, (list, tuple)) else [wide]
        if any(each not in (None, values.get("intermediate_size")) for each in wide):
            raise ValueError(
                f"moe_intermediate_size {wide[0]} is not intermediate_size "
                f"{values.get('intermediate_size')}, which all experts have"
            )


def with_alpha(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What replaces the settings at `key` where they have an alpha. Raises ValueError."""
    settings = values.get(key)
    if not isinstance(settings, Mapping) or not settings.get("alpha"):
        return {}
    kind = settings.get("rope_type", settings.get("type"))
    alpha, theta = settings["alpha"], settings.get("rope_theta", values.get("rope_theta", 10_000.0))
    heads, hidden = values.get("num_attention_heads"), values.get("hidden_size")
    d_head = values.get("head_dim")
    if d_head is None and isinstance(heads, int) and isinstance(hidden, int) and heads > 0:
        d_head = hidden // heads
    numbers = all(isinstance(each, (int, float)) and each > 0 for each in (alpha, theta))
    if kind != "dynamic" or not numbers or not isinstance(d_head, int) or d_head <= 2:
        raise ValueError(f"{key} with alpha={alpha!r}, rope_type={kind!r} is not supported")
    return {key: None, "rope_theta": theta * alpha ** (d_head / (d_head - 2))}


class NormedLastAttention(Attention):
    """Attention whose queries and keys are normalized after the rotation."""

    def __init__(self, cfg: HunYuanConfig, index: int) -> None:
        norms = [RMSNorm(cfg.head_dim, cfg.rms_norm_eps) for _ in "qk"]
        bias, rope = cfg.attention_bias, rope_for(cfg)
        super().__init__(
            cfg, index, rope=rope, q_norm=norms[0], k_norm=norms[1], bias=bias, out_bias=bias
        )

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        assert self.rope is not None
        assert self.q_norm is not None
        assert self.k_norm is not None
        q, k, v = (each.unflatten(-1, (-1, self.d_head)) for each in self.project(x))
        q, k = self.q_norm(self.rope(q, batch)), self.k_norm(self.rope(k, batch))
        self.keep(k, v, batch)
        return self.mix(q, batch)


def layer(cfg: HunYuanConfig, index: int) -> PreNormLayer:
    return PreNormLayer(cfg, NormedLastAttention(cfg, index), GatedMLP(cfg))


def sparse_layer(cfg: HunYuanMoEConfig, index: int) -> PreNormLayer:
    gate = Router(cfg.hidden_size, cfg.num_experts, cfg.num_experts_per_tok, normalize=True)
    experts = Experts(cfg, cfg.num_experts, cfg.intermediate_size)
    mixture = SparseMoE(gate, experts, GatedMLP(cfg))
    return PreNormLayer(cfg, NormedLastAttention(cfg, index), mixture)


class HunYuan(CausalLM):
    Layer = staticmethod(layer)


class HunYuanMoE(CausalLM):
    Layer = staticmethod(sparse_layer)


NORMS = [
    Rename("*.self_attn.query_layernorm", "*.self_attn.q_norm"),
    Rename("*.self_attn.key_layernorm", "*.self_attn.k_norm"),
]
WEIGHTS = {
    "hf": [
        Skip("*.rotary_emb"),
        *NORMS,
        Rename("*.mlp.gate.wg", "*.mlp.gate"),
        Rename("*.mlp.shared_mlp.*", "*.mlp.shared_experts.*"),
        *EXPERTS,
    ],
    "gguf": [Rename("*.mlp.shared_expert.*", "*.mlp.shared_experts.*")],
}
