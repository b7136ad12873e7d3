"""Qwen3-Next, Qwen3.5 and Qwen3.6: three of four layers keep a state (Gated DeltaNet) and no keys,
the others are attention with a gate; with experts, or dense."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import (
    Attention,
    CausalLM,
    GatedDeltaNet,
    GatedMLP,
    RMSNorm,
    rms_norm,
    rope_for,
)
from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch

from .experts import GatedShare, SparseConfig, feed_forward

LAYER = Literal["linear_attention", "full_attention"]


class HybridConfig(DecoderConfig):
    absent: ClassVar[Mapping[str, Any]] = {
        "partial_rotary_factor": 0.25,
        "max_position_embeddings": 32_768,
    }
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    head_dim: int = Field(default=256, gt=0, le=2**14, strict=True)
    layer_types: tuple[LAYER, ...]
    linear_conv_kernel_dim: int = Field(default=4, gt=1, le=64)
    linear_key_head_dim: int = Field(default=128, gt=0, le=2**14)
    linear_value_head_dim: int = Field(default=128, gt=0, le=2**14)
    linear_num_key_heads: int = Field(default=16, gt=0, le=2**14)
    linear_num_value_heads: int = Field(default=32, gt=0, le=2**14)
    linear_heads_tiled: bool = False
    """Whether value head i belongs to key head i modulo their count, as in GGUF files of 3.5."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.linear_num_value_heads % self.linear_num_key_heads:
            raise ValueError(
                f"linear_num_key_heads {self.linear_num_key_heads} does not divide "
                f"linear_num_value_heads {self.linear_num_value_heads}"
            )
        return self

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        interval, layers = values.get("full_attention_interval", 4), values.get("num_hidden_layers")
        if "layer_types" not in values and isinstance(layers, int) and isinstance(interval, int):
            if interval < 1:
                raise ValueError(f"full_attention_interval {interval} is less than 1")
            kinds = ("full_attention", "linear_attention")
            values["layer_types"] = tuple(
                kinds[(index + 1) % interval != 0] for index in range(layers)
            )


class NextConfig(SparseConfig, HybridConfig):
    num_experts: int = Field(default=512, ge=0)
    num_experts_per_tok: int = Field(default=10, gt=0)
    moe_intermediate_size: int = Field(default=512, gt=0)
    shared_expert_intermediate_size: int = Field(default=512, gt=0)
    norm_topk_prob: bool = True


class Qwen35MoeConfig(NextConfig):
    num_experts: int = Field(default=256, gt=0)
    num_experts_per_tok: int = Field(default=8, gt=0)

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        values.setdefault("intermediate_size", 1)  # no layer is without experts


class HybridLayer(nn.Module):
    """x + mixer(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, cfg: HybridConfig, index: int, mlp: nn.Module) -> None:
        super().__init__()
        self.input_layernorm = rms_norm(cfg)
        self.linear = cfg.layer_types[index] == "linear_attention"
        if self.linear:
            self.linear_attn = GatedDeltaNet(cfg, index, tiled=cfg.linear_heads_tiled)
        else:
            self.self_attn = Attention(
                cfg,
                index,
                rope=rope_for(cfg),
                q_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
                k_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
                bias=cfg.attention_bias,
                out_bias=cfg.attention_bias,
                gate=True,
            )
        self.post_attention_layernorm = rms_norm(cfg)
        self.mlp = mlp

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        mixer = self.linear_attn if self.linear else self.self_attn
        x = x + mixer(self.input_layernorm(x), batch)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


def next_layer(cfg: NextConfig, index: int) -> HybridLayer:
    shared = GatedShare(cfg, cfg.shared_expert_intermediate_size)
    return HybridLayer(cfg, index, feed_forward(cfg, index, shared))


def dense_layer(cfg: HybridConfig, index: int) -> HybridLayer:
    return HybridLayer(cfg, index, GatedMLP(cfg))


class Qwen3Next(CausalLM):
    Layer = staticmethod(next_layer)


class Qwen35(CausalLM):
    Layer = staticmethod(dense_layer)


class Qwen35Moe(CausalLM):
    Layer = staticmethod(next_layer)
