"""LFM2: most layers are a short convolution between two gates, some are attention; with experts in
LFM2-MoE."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from tramontane.blocks import (
    Attention,
    BiasedRouter,
    CausalLM,
    Experts,
    GatedMLP,
    Linear,
    PreNormLayer,
    RMSNorm,
    ShortConv,
    SparseMoE,
    rope_for,
)
from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch


class LfmConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {"norm_eps": "rms_norm_eps"}
    absent: ClassVar[Mapping[str, Any]] = {
        "rms_norm_eps": 1e-5,
        "rope_theta": 1_000_000.0,
        "max_position_embeddings": 128_000,
        "tie_word_embeddings": True,
    }
    hidden_act: Literal["silu"] = "silu"
    layer_types: tuple[Literal["conv", "full_attention"], ...]
    conv_L_cache: int = Field(default=3, gt=1, le=64)
    conv_bias: bool = False
    block_multiple_of: int = Field(default=256, gt=0, le=2**16)
    block_ffn_dim_multiplier: float | None = Field(default=1.0, gt=0, le=64)
    block_auto_adjust_ff_dim: bool = True

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        for theirs, field in (
            ("block_ff_dim", "intermediate_size"),
            ("tie_embedding", "tie_word_embeddings"),
        ):
            if theirs in values:
                values[field] = values.pop(theirs)
        layers = values.get("num_hidden_layers")
        if "layer_types" not in values and isinstance(layers, int):
            attends = values.get("full_attn_idxs", range(layers))
            if wrong := [index for index in attends if index not in range(layers)]:
                raise ValueError(f"full_attn_idxs has {wrong[0]}, and there are {layers} layers")
            kinds = ("conv", "full_attention")
            values["layer_types"] = tuple(kinds[index in attends] for index in range(layers))

    @property
    def wide(self) -> int:
        """Rows of the feed-forward half's matrices."""
        if not self.block_auto_adjust_ff_dim:
            return self.intermediate_size
        wide = int(2 * self.intermediate_size / 3)
        if self.block_ffn_dim_multiplier is None:
            return wide
        multiple = self.block_multiple_of
        return -(-int(self.block_ffn_dim_multiplier * wide) // multiple) * multiple


class LfmMoeConfig(LfmConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        **LfmConfig.spellings,
        "num_local_experts": "num_experts",
        "first_k_dense_replace": "num_dense_layers",
    }
    block_auto_adjust_ff_dim: bool = False
    moe_intermediate_size: int = Field(default=1792, gt=0, le=2**22)
    num_dense_layers: int = Field(default=2, ge=0)
    num_experts: int = Field(default=32, gt=1, le=2**14)
    num_experts_per_tok: int = Field(default=4, gt=0)
    use_expert_bias: Literal[True] = True
    norm_topk_prob: bool = True
    routed_scaling_factor: float = 1.0


class GatedConv(nn.Module):
    """out_proj(C * conv(B * x)), with B, C and x of one projection."""

    def __init__(self, cfg: LfmConfig, index: int) -> None:
        super().__init__()
        hidden, bias = cfg.hidden_size, cfg.conv_bias
        self.in_proj = Linear(hidden, 3 * hidden, bias=bias)
        self.conv = ShortConv(hidden, cfg.conv_L_cache, index, bias=bias)
        self.out_proj = Linear(hidden, hidden, bias=bias)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        b, c, x = self.in_proj(x).chunk(3, -1)
        return self.out_proj(c * self.conv(b * x, batch))  # type: ignore[no-any-return]


def mixer(cfg: LfmConfig, index: int) -> nn.Module:
    if cfg.layer_types[index] == "conv":
        return GatedConv(cfg, index)
    return Attention(
        cfg,
        index,
        rope=rope_for(cfg),
        q_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
        k_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
    )


def layer(cfg: LfmConfig, index: int) -> PreNormLayer:
    return PreNormLayer(cfg, mixer(cfg, index), GatedMLP(cfg, wide=cfg.wide))


def moe_layer(cfg: LfmMoeConfig, index: int) -> PreNormLayer:
    if index < cfg.num_dense_layers:
        return layer(cfg, index)
    gate = BiasedRouter(
        cfg.hidden_size,
        cfg.num_experts,
        cfg.num_experts_per_tok,
        groups=(1, 1),
        normalize=cfg.norm_topk_prob,
        scale=cfg.routed_scaling_factor,
    )
    experts = Experts(cfg, cfg.num_experts, cfg.moe_intermediate_size)
    return PreNormLayer(cfg, mixer(cfg, index), SparseMoE(gate, experts))


class Lfm(CausalLM):
    Layer = staticmethod(layer)


class LfmMoe(CausalLM):
    Layer = staticmethod(moe_layer)
