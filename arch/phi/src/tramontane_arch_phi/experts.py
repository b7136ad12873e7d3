"""Phi-3.5-MoE: layer norms, biases, and two experts of sixteen by sparsemixer.

Sparsemixer (Liu et al. 2024) takes the best expert with its softmax among those that are not much
worse, puts it aside, and does the same again: weights of two softmaxes, which do not sum to one.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from tramontane.blocks import (
    Attention,
    CausalLM,
    Experts,
    PreNormLayer,
    Router,
    SparseMoE,
    layer_norm,
    rope_for,
)
from tramontane.checkpoint.rules import EXPERTS, Rename, Split
from tramontane.config import DecoderConfig, LayerNormConfig


class PhiMoEConfig(LayerNormConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "rms_norm_eps": "layer_norm_eps"
    }  # of what are layer norms all the same
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    lm_head_bias: bool = False
    sliding_window: int | None = None
    num_local_experts: int = Field(default=16, gt=1)
    num_experts_per_tok: Literal[2] = 2
    router_jitter_noise: float = Field(default=0.01, ge=0)
    absent = MappingProxyType({"max_position_embeddings": 131_072, "rope_theta": 1e6})


class SparseMixer(Router):
    def __init__(self, cfg: PhiMoEConfig) -> None:
        super().__init__(cfg.hidden_size, cfg.num_local_experts, 2, normalize=False)
        self.jitter = cfg.router_jitter_noise

    def choose(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        left, weights, chosen = scores, [], []
        for _ in range(self.k):
            most, best = left.max(-1, keepdim=True)
            worse = (most - scores) / scores.abs().maximum(most) > 2 * self.jitter
            likely = left.masked_fill(worse, float("-inf")).softmax(-1)
            weights.append(likely.gather(-1, best))
            chosen.append(best)
            left = left.scatter(-1, best, float("-inf"))
        return torch.cat(weights, -1), torch.cat(chosen, -1)


def layer(cfg: PhiMoEConfig, index: int) -> PreNormLayer:
    bias, window = cfg.attention_bias, cfg.sliding_window
    rope = rope_for(cfg)
    attention = Attention(cfg, index, rope=rope, window=window, bias=bias, out_bias=bias)
    experts = Experts(cfg, cfg.num_local_experts, cfg.intermediate_size)
    return PreNormLayer(cfg, attention, SparseMoE(SparseMixer(cfg), experts), norm=layer_norm)


class PhiMoE(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(layer_norm)

    def __init__(self, cfg: DecoderConfig) -> None:
        self.head_bias = cfg.lm_head_bias  # type: ignore[attr-defined, misc]
        super().__init__(cfg)


WEIGHTS = {
    "hf": [
        Rename("*.block_sparse_moe.gate", "*.mlp.gate"),
        Rename("*.mlp.router", "*.mlp.gate"),
        Rename("*.block_sparse_moe.experts.*.w1", "*.mlp.experts.*.gate_proj"),
        Rename("*.block_sparse_moe.experts.*.w2", "*.mlp.experts.*.down_proj"),
        Rename("*.block_sparse_moe.experts.*.w3", "*.mlp.experts.*.up_proj"),
        Rename("*.block_sparse_moe.experts.*", "*.mlp.experts.*"),
        Rename("*.block_sparse_moe.switch_mlp.*", "*.mlp.switch_mlp.*"),
        *EXPERTS,
    ],
    "gguf": [Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"))],
}
