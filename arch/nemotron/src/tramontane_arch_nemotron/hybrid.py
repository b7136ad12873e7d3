"""Nemotron-H and Nemotron 3: one mixer in each layer, which is Mamba-2, attention without rotation,
a feed-forward half, or experts; no half has a gate."""

from typing import ClassVar

from torch import Tensor, nn
from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    BiasedRouter,
    CausalLM,
    Experts,
    LayerOf,
    Linear,
    Mamba2,
    MixerLayer,
    SparseMoE,
)
from tramontane.engine.batch import Batch

from .hybrid_config import NemotronHConfig

RELU2 = ACTIVATIONS["relu2"]


class LatentExperts(SparseMoE):
    """Vectors are made smaller before the experts chosen for them, and larger behind these."""

    def __init__(
        self, gate: BiasedRouter, experts: Experts, shared: nn.Module, latent: int, *, bias: bool
    ) -> None:
        super().__init__(gate, experts, shared)
        hidden = gate.weight.shape[1]
        self.fc1_latent_proj = Linear(hidden, latent, bias=bias)
        self.fc2_latent_proj = Linear(latent, hidden, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        small = self.fc1_latent_proj(x)
        mixed: Tensor = self.fc2_latent_proj(self.experts(small, *self.gate(x)))
        assert self.shared_experts is not None
        out: Tensor = mixed + self.shared_experts(x)
        return out


def mixture(cfg: NemotronHConfig) -> SparseMoE:
    count, latent, bias = cfg.n_routed_experts, cfg.moe_latent_size, cfg.mlp_bias
    gate = BiasedRouter(
        cfg.hidden_size,
        count,
        cfg.num_experts_per_tok,
        groups=(cfg.n_group, cfg.topk_group),
        normalize=cfg.norm_topk_prob,
        scale=cfg.routed_scaling_factor,
    )
    experts = Experts(cfg, count, cfg.moe_intermediate_size, act=RELU2, gated=False, hidden=latent)
    shared = MLP(cfg, act=RELU2, bias=bias, wide=cfg.moe_shared_expert_intermediate_size)
    if latent is None:
        return SparseMoE(gate, experts, shared)
    return LatentExperts(gate, experts, shared, latent, bias=bias)


class FeedForwardLayer(MixerLayer):
    """A mixer that looks at no other token."""

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        out: Tensor = x + self.mixer(self.norm(x))
        return out


def layer(cfg: NemotronHConfig, index: int) -> MixerLayer:
    kind = cfg.layer_types[index]
    if kind == "mamba":
        return MixerLayer(cfg, Mamba2(cfg.hidden_size, index, **cfg.mixer()))
    if kind == "attention":
        return MixerLayer(cfg, Attention(cfg, index, rope=None))
    if kind == "mlp":
        return FeedForwardLayer(cfg, MLP(cfg, act=RELU2, bias=cfg.mlp_bias))
    return FeedForwardLayer(cfg, mixture(cfg))


class NemotronH(CausalLM):
    Layer: ClassVar[LayerOf] = staticmethod(layer)
