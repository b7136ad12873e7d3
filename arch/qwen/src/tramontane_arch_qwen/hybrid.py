"""Qwen3-Next: three of four layers keep a state (Gated DeltaNet) and no keys, the others are
attention with a gate; experts in most layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
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
from tramontane.checkpoint.rules import Kept, Rename, Rule, Shift, Skip, Split, owner, sibling
from tramontane.checkpoint.state_rules import ssm_rules
from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch
from tramontane.layouts import Layout

from .experts import WEIGHTS as EXPERTS
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

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        interval, layers = values.get("full_attention_interval", 4), values.get("num_hidden_layers")
        if "layer_types" not in values and isinstance(layers, int) and isinstance(interval, int):
            kinds = ("full_attention", "linear_attention")
            values["layer_types"] = tuple(
                kinds[(index + 1) % max(1, interval) != 0] for index in range(layers)
            )


class NextConfig(SparseConfig, HybridConfig):
    num_experts: int = Field(default=512, ge=0)
    num_experts_per_tok: int = Field(default=10, gt=0)
    moe_intermediate_size: int = Field(default=512, gt=0)
    shared_expert_intermediate_size: int = Field(default=512, gt=0)
    norm_topk_prob: bool = True


class HybridLayer(nn.Module):
    """x + mixer(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, cfg: HybridConfig, index: int, mlp: nn.Module) -> None:
        super().__init__()
        self.input_layernorm = rms_norm(cfg)
        self.linear = cfg.layer_types[index] == "linear_attention"
        if self.linear:
            self.linear_attn = GatedDeltaNet(cfg, index)
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


@dataclass(frozen=True)
class PerKeyHead(Kept):
    """Takes fused rows apart that lie key head after key head. sections: for each module, which of
    a key head's sections of rows it has: 0 to 3, those of q, k, v and z; or 4 and 5, b and a."""

    pattern: str
    sections: tuple[tuple[str, tuple[int, ...]], ...]

    def paths(self, path: str) -> tuple[str, ...]:
        return tuple(sibling(path, name) for name, _ in self.sections)

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        net: Any = owner(model, path)
        each = net.heads // net.key_heads
        wide = each * net.d_value
        sizes = (net.d_key, net.d_key, wide, wide, each, each)
        used = [index for _, wanted in self.sections for index in wanted]
        starts = dict(zip(used, accumulate((0, *(sizes[index] for index in used))), strict=False))
        whole = sum(sizes[index] for index in used)
        if layout.shape[0] != whole * net.key_heads:
            raise ValueError(f"{net.key_heads} key heads have {whole * net.key_heads} rows")
        heads = torch.arange(net.key_heads)[:, None] * whole
        wanted = dict(self.sections)[path.rpartition(".")[2]]
        rows = [(heads + starts[i] + torch.arange(sizes[i])).flatten() for i in wanted]
        return layout.rows(torch.cat(rows))


GATED = Split("*.self_attn.q_proj", ("q_proj", "gate_proj"), per="heads")
PER_HEAD = PerKeyHead("*.in_proj_ba", (("in_proj_b", (4,)), ("in_proj_a", (5,))))
CENTERED = ("*.input_layernorm", "*.post_attention_layernorm", "*.q_norm", "*.k_norm", "model.norm")
HF: list[Rule] = [
    Skip("mtp.*"),
    Skip("model.visual.*"),
    Rename("model.language_model.*", "model.*"),
    *(Shift(pattern, 1.0) for pattern in CENTERED),
    GATED,
    PerKeyHead("*.in_proj_qkvz", (("in_proj_qkv", (0, 1, 2)), ("in_proj_z", (3,)))),
    PER_HEAD,
]
GGUF: list[Rule] = [
    Rename("blk.*.post_attention_norm", "model.layers.*.post_attention_layernorm"),
    Rename("*.self_attn.qkv_proj", "*.linear_attn.in_proj_qkv"),
    Rename("*.self_attn.gate_proj", "*.linear_attn.in_proj_z"),
    *ssm_rules("linear_attn"),
    GATED,
    PER_HEAD,
]
WEIGHTS: dict[str, list[Rule]] = {"hf": [*HF, *EXPERTS["hf"]], "gguf": [*GGUF, *EXPERTS["gguf"]]}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file calls the sizes of its layers with a state."""
    name = config["model_type"]
    heads, inner = (values.get(f"{name}.ssm.{key}") for key in ("time_step_rank", "inner_size"))
    each = inner // heads if isinstance(heads, int) and isinstance(inner, int) and heads else None
    found = {
        "linear_conv_kernel_dim": values.get(f"{name}.ssm.conv_kernel"),
        "linear_key_head_dim": values.get(f"{name}.ssm.state_size"),
        "linear_num_key_heads": values.get(f"{name}.ssm.group_count"),
        "linear_num_value_heads": heads,
        "linear_value_head_dim": each,
        "full_attention_interval": values.get(f"{name}.full_attention_interval"),
        "norm_topk_prob": True,
    }
    return {word: value for word, value in found.items() if value is not None}
