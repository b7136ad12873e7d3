"""Falcon-H1: attention and Mamba-2 side by side in each layer, with a dozen multipliers."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import Attention, CausalLM, GatedMLP, LayerOf, Mamba2, rms_norm, rope_for
from tramontane.checkpoint.rules import Rename, Rule
from tramontane.checkpoint.state_rules import ssm_fields, ssm_rules
from tramontane.config import Mamba2Config
from tramontane.engine.batch import Batch


class FalconH1Config(Mamba2Config):
    absent: ClassVar[Mapping[str, Any]] = {
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 8192,
        "num_key_value_heads": 8,
    }
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    projectors_bias: bool = False
    mamba_d_ssm: int | None = Field(default=1024, gt=0, le=2**22)
    mamba_norm_before_gate: bool = True
    mamba_rms_norm: bool = False
    embedding_multiplier: float = 1.0
    lm_head_multiplier: float = 1.0
    key_multiplier: float = 1.0
    attention_in_multiplier: float = 1.0
    attention_out_multiplier: float = 1.0
    ssm_in_multiplier: float = 1.0
    ssm_out_multiplier: float = 1.0
    mlp_multipliers: tuple[float, float] = (1.0, 1.0)
    ssm_multipliers: tuple[float, float, float, float, float] = (1.0,) * 5

    @property
    def inner(self) -> int:
        """Numbers that a Mamba mixer computes for a token."""
        return self.mamba_d_ssm or self.mamba_expand * self.hidden_size

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.check_heads(f"mamba_d_ssm {self.inner}")
        return self


class ScaledMamba(Mamba2):
    """Input and every part of its projection are multiplied."""

    def __init__(self, cfg: FalconH1Config, index: int) -> None:
        super().__init__(
            cfg.hidden_size,
            index,
            **cfg.mixer(),
            out_bias=cfg.projectors_bias,
            gate_first=not cfg.mamba_norm_before_gate,
            norm=cfg.mamba_rms_norm,
        )
        self.gain, self.gains = cfg.ssm_in_multiplier, cfg.ssm_multipliers

    def project(self, x: Tensor) -> Tensor:
        out = super().project(x * self.gain)
        if set(self.gains) == {1.0}:
            return out
        counts = (self.parts[0], *self.widths, self.parts[2])
        factors = [
            torch.full((n,), g, device="cpu") for n, g in zip(counts, self.gains, strict=True)
        ]
        each = torch.cat(factors)
        return out * (each if x.is_meta else each.to(x.device, x.dtype))


class ScaledAttention(Attention):
    """Keys are multiplied."""

    def __init__(self, cfg: FalconH1Config, index: int) -> None:
        bias = cfg.attention_bias
        super().__init__(cfg, index, rope=rope_for(cfg), bias=bias, out_bias=bias)
        self.gain = cfg.key_multiplier

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = super().project(x)
        return q, k * self.gain, v


class ScaledMLP(GatedMLP):
    def __init__(self, cfg: FalconH1Config) -> None:
        super().__init__(cfg, bias=cfg.mlp_bias)
        self.gain, self.last = cfg.mlp_multipliers

    def forward(self, x: Tensor) -> Tensor:
        gate = F.silu(self.gate_proj(x) * self.gain)
        return self.down_proj(self.up_proj(x) * gate) * self.last  # type: ignore[no-any-return]


class HybridLayer(nn.Module):
    """x + mamba(norm(x)) + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, cfg: FalconH1Config, index: int) -> None:
        super().__init__()
        self.cfg = cfg
        self.input_layernorm = rms_norm(cfg)
        self.mamba = ScaledMamba(cfg, index)
        self.self_attn = ScaledAttention(cfg, index)
        self.post_attention_layernorm = rms_norm(cfg)
        self.mlp = ScaledMLP(cfg)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        normal, cfg = self.input_layernorm(x), self.cfg
        mixed = self.mamba(normal, batch) * cfg.ssm_out_multiplier
        seen = self.self_attn(normal * cfg.attention_in_multiplier, batch)
        x = x + mixed + seen * cfg.attention_out_multiplier
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class FalconH1(CausalLM):
    Layer: ClassVar[LayerOf] = HybridLayer
    cfg: FalconH1Config

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        return super().embed(tokens, batch) * self.cfg.embedding_multiplier

    def logits(self, x: Tensor) -> Tensor:
        return super().logits(x) * self.cfg.lm_head_multiplier


HF: list[Rule] = [
    Rename("model.final_layernorm", "model.norm"),
    Rename("*.pre_ff_layernorm", "*.post_attention_layernorm"),
    Rename("*.feed_forward.*", "*.mlp.*"),
]
GGUF: list[Rule] = [
    # the one norm that such files have under a name without an end
    Rename("blk.*.ffn_norm", "model.layers.*.post_attention_layernorm.weight"),
    *ssm_rules("mamba"),
]
WEIGHTS: dict[str, list[Rule]] = {"hf": HF, "gguf": GGUF}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file calls the sizes of Mamba layers; weights have multipliers in them."""
    inner = values.get("falcon-h1.ssm.inner_size")
    return {
        **ssm_fields(values, "falcon-h1"),
        **({} if inner is None else {"mamba_d_ssm": inner}),
        "mamba_norm_before_gate": False,
    }
