"""Granite 4: layers with a state (Mamba-2) and layers of attention, a feed-forward half that all
tokens share, and experts or none."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import GatedMLP, LayerOf, Mamba2, rms_norm
from tramontane.checkpoint.rules import Deinterleave, Rule
from tramontane.checkpoint.state_rules import ssm_fields, ssm_rules
from tramontane.config import Mamba2Config
from tramontane.engine.batch import Batch

from .model import (
    MOE_WEIGHTS,
    SHARED_EXPERTS,
    SHARED_WEIGHTS,
    Granite,
    GraniteMoeConfig,
    layer,
    mixture,
)


class Granite4Config(GraniteMoeConfig, Mamba2Config):
    """With 0 experts the shared half is alone."""

    num_local_experts: int = Field(default=8, ge=0)
    num_experts_per_tok: int = Field(default=2, ge=0)
    shared_intermediate_size: int = Field(default=1024, gt=0, le=2**22)
    position_embedding_type: Literal["rope", "nope"] | None = None
    layer_types: tuple[Literal["mamba", "attention"], ...]

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        types = {"linear_attention": "mamba", "full_attention": "attention"}
        if isinstance(layers := values.get("layer_types"), (list, tuple)):
            values["layer_types"] = tuple(types.get(str(each), each) for each in layers)

    @property
    def rotary(self) -> bool:
        return self.position_embedding_type == "rope"

    @model_validator(mode="after")
    def _goes_to_experts(self) -> Self:
        if self.num_local_experts and not self.num_experts_per_tok:
            raise ValueError(
                f"num_experts_per_tok 0 leaves a token without any of the "
                f"{self.num_local_experts} experts (num_local_experts)"
            )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "mamba" in self.layer_types:
            self.check_heads(
                f"mamba_expand {self.mamba_expand} times hidden_size {self.hidden_size}"
            )
        return self


class MambaLayer(nn.Module):
    """x + gain * mamba(norm(x)), then x + gain * mlp(norm(x))."""

    def __init__(self, cfg: Granite4Config, index: int, mlp: nn.Module) -> None:
        super().__init__()
        self.mamba = Mamba2(cfg.hidden_size, index, **cfg.mixer())
        self.input_layernorm = rms_norm(cfg)
        self.post_attention_layernorm = rms_norm(cfg)
        self.mlp = mlp
        self.gain = cfg.residual_multiplier

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x + self.gain * self.mamba(self.input_layernorm(x), batch)
        out: Tensor = x + self.gain * self.mlp(self.post_attention_layernorm(x))
        return out


def layer_4(cfg: Granite4Config, index: int) -> nn.Module:
    wide = cfg.shared_intermediate_size
    mlp = mixture(cfg) if cfg.num_local_experts else GatedMLP(cfg, wide=wide)
    recurrent = cfg.layer_types[index] == "mamba"
    return MambaLayer(cfg, index, mlp) if recurrent else layer(cfg, index, mlp)


class Granite4(Granite):
    Layer: ClassVar[LayerOf] = staticmethod(layer_4)


def weights_4(cfg: Granite4Config) -> dict[str, list[Rule]]:
    """GGUF files of this name may be Bamba, of which half a head rotates: its rows were moved as
    if all of it did."""
    theirs = MOE_WEIGHTS if cfg.num_local_experts else SHARED_WEIGHTS
    pairs: list[Rule] = [Deinterleave(f"*.{part}_proj", whole=True) for part in "qk"]
    return {"hf": theirs["hf"], "gguf": [*pairs, SHARED_EXPERTS, *ssm_rules("mamba")]}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file calls the sizes of Mamba layers. Layers without heads of keys are such."""
    heads, inner = (values.get(f"granitehybrid.ssm.{k}") for k in ("time_step_rank", "inner_size"))
    hidden, layers = config.get("hidden_size"), config.get("num_hidden_layers")
    kv_heads = config.get("num_key_value_heads")
    each = kv_heads if isinstance(kv_heads, tuple) else (kv_heads,) * (layers or 0)
    found: dict[str, Any] = {
        "layer_types": tuple("attention" if count else "mamba" for count in each),
        "num_key_value_heads": max((count or 0 for count in each), default=0) or 1,
        "position_embedding_type": "rope" if config.get("rope_finetuned", True) else "nope",
        "num_local_experts": config.get("num_local_experts", 0),
        "shared_intermediate_size": config.get("shared_expert_intermediate_size")
        or config.get("intermediate_size"),
        **ssm_fields(values, "granitehybrid"),
    }
    if isinstance(inner, int) and isinstance(heads, int) and isinstance(hidden, int):
        found["mamba_d_head"] = inner // max(1, heads)
        found["mamba_expand"] = inner // max(1, hidden)
    return {word: value for word, value in found.items() if value is not None}
