"""Nemotron-H and Nemotron 3: one mixer in each layer, which is Mamba-2, attention without rotation,
a feed-forward half, or experts; no half has a gate."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
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
    SparseMoE,
    rms_norm,
)
from tramontane.checkpoint.rules import Rename, Rule, Skip, Stack
from tramontane.checkpoint.state_rules import ssm_fields, ssm_rules
from tramontane.config import Mamba2Config
from tramontane.engine.batch import Batch

LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
"""What `hybrid_override_pattern` says of each layer."""
WORDS = {"linear_attention": "mamba", "full_attention": "attention"}
"""How transformers writes the same."""
RELU2 = ACTIVATIONS["relu2"]


class NemotronHConfig(Mamba2Config):
    """Time steps are limited by time_step_limit alone, as in the code of the models' makers;
    transformers has time_step_min as a limit of prompts."""

    spellings: ClassVar[Mapping[str, str]] = {
        "layers_block_type": "layer_types",
        "attention_head_dim": "head_dim",
        "mlp_hidden_act": "hidden_act",
        "layer_norm_epsilon": "rms_norm_eps",
        "mamba_num_heads": "mamba_n_heads",
        "mamba_head_dim": "mamba_d_head",
        "ssm_state_size": "mamba_d_state",
        "n_groups": "mamba_n_groups",
        "conv_kernel": "mamba_d_conv",
        "use_conv_bias": "mamba_conv_bias",
        "expand": "mamba_expand",
        "mamba_dt_limit": "time_step_limit",
        "num_local_experts": "n_routed_experts",
        "shared_expert_intermediate_size": "moe_shared_expert_intermediate_size",
    }
    absent: ClassVar[Mapping[str, Any]] = {
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "mamba_d_state": 128,
        "mamba_n_groups": 8,
    }
    hidden_act: Literal["relu2"] = "relu2"
    mamba_hidden_act: Literal["silu", "swish"] = "silu"
    attention_bias: Literal[False] = False
    mlp_bias: bool = False
    use_bias: bool = False
    mamba_d_head: int = Field(default=64, gt=0, le=2**14)
    layer_types: tuple[Literal["mamba", "attention", "mlp", "moe"], ...]
    n_routed_experts: int = Field(default=8, gt=0)
    num_experts_per_tok: int = Field(default=2, gt=0)
    moe_intermediate_size: int = Field(default=7688, gt=0, le=2**22)
    moe_shared_expert_intermediate_size: int = Field(default=7688, gt=0, le=2**22)
    moe_latent_size: int | None = Field(default=None, gt=0, le=2**20)
    n_group: int = Field(default=1, gt=0)
    topk_group: int = Field(default=1, gt=0)
    norm_topk_prob: bool = True
    routed_scaling_factor: float = 1.0

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        pattern, kinds = values.get("hybrid_override_pattern"), values.get("layer_types")
        if kinds is None and isinstance(pattern, str):
            kinds = [LETTERS.get(letter, letter) for letter in pattern]
        if kinds is None:
            kinds = ["mamba", "moe", "attention", "mlp"]
        if isinstance(kinds, (list, tuple)):
            kinds = tuple(WORDS.get(str(each), each) for each in kinds)
            values.setdefault("num_hidden_layers", len(kinds))
        values["layer_types"] = kinds

    @property
    def rotary(self) -> bool:
        return False

    @property
    def inner(self) -> int:
        return self.mamba_n_heads * self.mamba_d_head

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "mamba" in self.layer_types:
            self.check_heads(f"{self.inner}")
        return self

    def mixer(self) -> dict[str, Any]:
        return {**super().mixer(), "bias": self.use_bias}


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


class MixerLayer(nn.Module):
    """x + mixer(norm(x))."""

    def __init__(self, cfg: NemotronHConfig, index: int) -> None:
        super().__init__()
        kind = cfg.layer_types[index]
        self.norm = rms_norm(cfg)
        self.keeps = kind in ("mamba", "attention")
        self.mixer: nn.Module
        if kind == "mamba":
            self.mixer = Mamba2(cfg.hidden_size, index, **cfg.mixer())
        elif kind == "attention":
            self.mixer = Attention(cfg, index, rope=None)
        elif kind == "mlp":
            self.mixer = MLP(cfg, act=RELU2, bias=cfg.mlp_bias)
        else:
            self.mixer = mixture(cfg)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        normal = self.norm(x)
        out: Tensor = x + (self.mixer(normal, batch) if self.keeps else self.mixer(normal))
        return out


class NemotronH(CausalLM):
    Layer: ClassVar[LayerOf] = MixerLayer


HF: list[Rule] = [
    Skip("mtp.*"),
    Rename("backbone.*", "model.*"),
    Rename("model.embeddings", "model.embed_tokens"),
    Rename("model.norm_f", "model.norm"),
    Rename("*.gate.e_score_correction_bias", "*.gate.balance"),
    # as transformers 5 has them in memory and may save them
    Rename("*.experts.up_proj.weight", "*.experts.up_proj"),
    Rename("*.experts.down_proj.weight", "*.experts.down_proj"),
    Rename("*.experts.up_proj", "*.experts.up_proj.weight"),
    Rename("*.experts.down_proj", "*.experts.down_proj.weight"),
    *(Stack(f"*.experts.{{}}.{name}_proj") for name in ("down", "up")),
]
GGUF: list[Rule] = [
    Rename("blk.*.exp_probs_b.bias", "model.layers.*.mixer.gate.balance"),
    Rename("blk.*.ffn_latent_down", "model.layers.*.mixer.fc1_latent_proj"),
    Rename("blk.*.ffn_latent_up", "model.layers.*.mixer.fc2_latent_proj"),
    Rename("*.input_layernorm", "*.norm"),
    Rename("*.self_attn.*", "*.mixer.*"),
    Rename("*.mlp.shared_expert.*", "*.mixer.shared_experts.*"),
    Rename("*.mlp.*", "*.mixer.*"),
    *ssm_rules("mixer"),
]
WEIGHTS: dict[str, list[Rule]] = {"hf": HF, "gguf": GGUF}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file calls the sizes of Mamba layers, and which layer is what: those with heads
    of keys have attention, those with rows of a feed-forward half have it, others Mamba."""
    name = str(config.get("model_type"))
    layers = config.get("num_hidden_layers") or 0
    kv_heads, wide = (
        each if isinstance(each, tuple) else (each,) * layers
        for each in (config.get("num_key_value_heads"), config.get("intermediate_size"))
    )  # fmt: skip
    half = "moe" if config.get("num_local_experts") else "mlp"
    heads, inner = (values.get(f"{name}.ssm.{key}") for key in ("time_step_rank", "inner_size"))
    found: dict[str, Any] = {
        "layer_types": tuple(
            "attention" if shared else half if rows else "mamba"
            for shared, rows in zip(kv_heads, wide, strict=True)
        ),
        "num_key_value_heads": max((each or 0 for each in kv_heads), default=0) or 1,
        "intermediate_size": max((each or 0 for each in wide), default=0) or 1,
        "attention_bias": False,
        "mlp_bias": False,
        "use_bias": False,
        "moe_latent_size": values.get(f"{name}.moe_latent_size"),
        **ssm_fields(values, name),
    }
    if isinstance(inner, int) and isinstance(heads, int):
        found["mamba_d_head"] = inner // max(1, heads)
    return found
