"""Qwen2 and Qwen3 with experts.

Qwen2's layers have one more expert for every token, behind a sigmoid gate of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from tramontane.blocks import CausalLM, Experts, GatedMLP, Linear, PreNormLayer, Router, SparseMoE
from tramontane.checkpoint.rules import EXPERTS, Kept, Rename, Rule
from tramontane.config import DecoderConfig
from tramontane.layouts import Dense, Layout

from .model import Qwen2Config, Qwen3Config, qwen2_attention, qwen3_attention


class SparseConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {"num_local_experts": "num_experts"}
    num_experts: int = Field(default=128, gt=0)
    num_experts_per_tok: int = Field(default=8, gt=0)
    moe_intermediate_size: int = Field(default=768, gt=0)
    norm_topk_prob: bool = False
    decoder_sparse_step: int = Field(default=1, gt=0)
    mlp_only_layers: tuple[int, ...] = ()

    def sparse(self, index: int) -> bool:
        """Whether the layer has experts."""
        return index not in self.mlp_only_layers and (index + 1) % self.decoder_sparse_step == 0


class Qwen2MoeConfig(SparseConfig, Qwen2Config):
    num_experts: int = Field(default=60, gt=0)
    num_experts_per_tok: int = Field(default=4, gt=0)
    moe_intermediate_size: int = Field(default=1408, gt=0)
    qkv_bias: bool = True
    shared_expert_intermediate_size: int = Field(default=5632, gt=0)

    def slides(self, index: int) -> bool:
        return index % 2 == 0 and index < self.max_window_layers


class Qwen3MoeConfig(SparseConfig, Qwen3Config):
    def window(self, index: int) -> int | None:
        # in every layer: `max_window_layers` and `layer_types` are not looked at
        return self.sliding_window if self.use_sliding_window else None


class GatedShare(GatedMLP):
    """An expert for every token, times a sigmoid of the token."""

    def __init__(self, cfg: DecoderConfig, wide: int) -> None:
        super().__init__(cfg, wide=wide)
        self.gate = Linear(cfg.hidden_size, 1)
        self.squash: Callable[[Tensor], Tensor] = torch.sigmoid  # a backend may put its own there

    def forward(self, x: Tensor) -> Tensor:
        # in float64, whose last bits may depend on where in a register a number lies
        share = self.squash(self.gate(x).double()).to(x.dtype)
        return share * super().forward(x)


def feed_forward(cfg: SparseConfig, index: int, shared: nn.Module | None = None) -> nn.Module:
    if not cfg.sparse(index):
        return GatedMLP(cfg)
    count, chosen = cfg.num_experts, cfg.num_experts_per_tok
    gate = Router(cfg.hidden_size, count, chosen, normalize=cfg.norm_topk_prob)
    return SparseMoE(gate, Experts(cfg, count, cfg.moe_intermediate_size), shared)


def qwen2_layer(cfg: Qwen2MoeConfig, index: int) -> PreNormLayer:
    shared = GatedShare(cfg, cfg.shared_expert_intermediate_size)
    attention = qwen2_attention(cfg, index, bias=cfg.qkv_bias)
    return PreNormLayer(cfg, attention, feed_forward(cfg, index, shared))


def qwen3_layer(cfg: Qwen3MoeConfig, index: int) -> PreNormLayer:
    return PreNormLayer(cfg, qwen3_attention(cfg, index), feed_forward(cfg, index))


class Qwen2Moe(CausalLM):
    Layer = staticmethod(qwen2_layer)


class Qwen3Moe(CausalLM):
    Layer = staticmethod(qwen3_layer)


@dataclass(frozen=True)
class OneRow(Kept):
    """A matrix of one row, stored as a vector."""

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        return Dense(layout.decode()[None]) if len(layout.shape) == 1 else layout


SHARED = [
    Rename("*.mlp.shared_expert.*", "*.mlp.shared_experts.*"),
    Rename("*.mlp.shared_expert_gate", "*.mlp.shared_experts.gate"),
]
WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        *SHARED,
        *EXPERTS,
    ],
    "gguf": [*SHARED, OneRow("*.shared_experts.gate")],
}
