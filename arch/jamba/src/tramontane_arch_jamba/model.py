"""Jamba: most layers are Mamba with norms, one of several is attention without positions; one of
several feed-forward halves has experts."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import nn
from tramontane.blocks import (
    Attention,
    CausalLM,
    Experts,
    GatedMLP,
    Mamba,
    PreNormLayer,
    RMSNorm,
    Router,
    SparseMoE,
)
from tramontane.checkpoint.rules import EXPERTS, Rename, Rule
from tramontane.checkpoint.state_rules import selective_rules
from tramontane.config import DecoderConfig


class JambaConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {"num_local_experts": "num_experts"}
    absent: ClassVar[Mapping[str, Any]] = {
        "num_key_value_heads": 8,
        "max_position_embeddings": 262_144,
    }
    hidden_act: Literal["silu"] = "silu"
    attn_layer_period: int = Field(default=8, gt=0)
    attn_layer_offset: int = Field(default=4, ge=0)
    expert_layer_period: int = Field(default=2, gt=0)
    expert_layer_offset: int = Field(default=1, ge=0)
    num_experts: int = Field(default=16, gt=0, le=2**14)
    num_experts_per_tok: int = Field(default=2, gt=0)
    mamba_d_state: int = Field(default=16, gt=0, le=2**14)
    mamba_d_conv: int = Field(default=4, gt=1, le=64)
    mamba_expand: int = Field(default=2, gt=0, le=64)
    mamba_dt_rank: int = Field(gt=0, le=2**20)
    mamba_conv_bias: bool = True
    mamba_proj_bias: bool = False

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        hidden = values.get("hidden_size")
        if values.get("mamba_dt_rank", "auto") == "auto" and isinstance(hidden, int):
            values["mamba_dt_rank"] = math.ceil(hidden / 16)

    @property
    def rotary(self) -> bool:
        return False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for kind in ("attn", "expert"):
            period = getattr(self, f"{kind}_layer_period")
            offset = getattr(self, f"{kind}_layer_offset")
            if offset >= period:
                raise ValueError(
                    f"{kind}_layer_offset {offset} is not below {kind}_layer_period {period}"
                )
        return self

    def attends(self, index: int) -> bool:
        """Whether a layer is attention."""
        return index % self.attn_layer_period == self.attn_layer_offset

    def mixes(self, index: int) -> bool:
        """Whether a layer has experts."""
        chosen = index % self.expert_layer_period == self.expert_layer_offset
        return chosen and self.num_experts > 1


def mixer(cfg: JambaConfig, index: int) -> nn.Module:
    if cfg.attends(index):
        return Attention(cfg, index, rope=None)
    return Mamba(
        cfg.hidden_size,
        index,
        inner=cfg.mamba_expand * cfg.hidden_size,
        state=cfg.mamba_d_state,
        rank=cfg.mamba_dt_rank,
        width=cfg.mamba_d_conv,
        bias=cfg.mamba_proj_bias,
        conv_bias=cfg.mamba_conv_bias,
        norm=partial(RMSNorm, eps=cfg.rms_norm_eps),
    )


def layer(cfg: JambaConfig, index: int) -> PreNormLayer:
    if not cfg.mixes(index):
        return PreNormLayer(cfg, mixer(cfg, index), GatedMLP(cfg))
    count, wide = cfg.num_experts, cfg.intermediate_size
    gate = Router(cfg.hidden_size, count, cfg.num_experts_per_tok, normalize=False)
    return PreNormLayer(cfg, mixer(cfg, index), SparseMoE(gate, Experts(cfg, count, wide)))


class Jamba(CausalLM):
    Layer = staticmethod(layer)


HF: list[Rule] = [
    Rename("model.final_layernorm", "model.norm"),
    Rename("*.pre_ff_layernorm", "*.post_attention_layernorm"),
    Rename("*.mamba.*", "*.self_attn.*"),
    Rename("*.feed_forward.*", "*.mlp.*"),
    Rename("*.mlp.router", "*.mlp.gate"),
    *EXPERTS,
]
WEIGHTS: dict[str, list[Rule]] = {"hf": HF, "gguf": selective_rules("self_attn")}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file says of layers: those without heads of keys are Mamba."""
    words = {"conv_kernel": "mamba_d_conv", "state_size": "mamba_d_state",
             "time_step_rank": "mamba_dt_rank"}  # fmt: skip
    found = {word: values.get(f"jamba.ssm.{key}") for key, word in words.items()}
    layers, kv_heads = config.get("num_hidden_layers"), config.get("num_key_value_heads")
    each = kv_heads if isinstance(kv_heads, tuple) else (kv_heads,) * (layers or 0)
    found["num_key_value_heads"] = max((count or 0 for count in each), default=0) or 1
    found |= regular("attn", [bool(count) for count in each])
    found |= regular("expert", config.get("layers_with_experts", ()))
    found["num_experts"] = config.get("num_local_experts") or 1
    inner, hidden = values.get("jamba.ssm.inner_size"), config.get("hidden_size")
    if isinstance(inner, int) and isinstance(hidden, int) and hidden > 0:
        if inner % hidden:
            raise ValueError(f"jamba.ssm.inner_size {inner} is no multiple of {hidden}")
        found["mamba_expand"] = inner // hidden
    return {word: value for word, value in found.items() if value is not None}


def regular(kind: str, chosen: Sequence[bool]) -> dict[str, int]:
    """Period and offset of the layers that are chosen. Raises ValueError where there are none."""
    places = [index for index, each in enumerate(chosen) if each]
    offset = places[0] if places else len(chosen)
    period = places[1] - offset if len(places) > 1 else max(len(chosen), offset + 1)
    if [index for index in range(len(chosen)) if index % period == offset] != places:
        raise ValueError(f"layers {places} ({kind}) do not come at regular distances")
    return {f"{kind}_layer_period": period, f"{kind}_layer_offset": offset}
