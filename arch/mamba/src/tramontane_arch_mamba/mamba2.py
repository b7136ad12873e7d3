"""Mamba-2: layers of one mixer with a decay for each head, and no attention."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from tramontane.blocks import CausalLM, LayerOf, Mamba2, MixerLayer
from tramontane.checkpoint.rules import Rename, Rule
from tramontane.checkpoint.state_rules import ssm_fields, ssm_rules
from tramontane.config import Mamba2Config

from .layers import BACKBONE, ENDLESS, without_attention


class Mamba2LMConfig(Mamba2Config):
    spellings: ClassVar[Mapping[str, str]] = {
        "layer_norm_epsilon": "rms_norm_eps",
        "num_heads": "mamba_n_heads",
        "head_dim": "mamba_d_head",
        "n_groups": "mamba_n_groups",
        "state_size": "mamba_d_state",
        "conv_kernel": "mamba_d_conv",
        "expand": "mamba_expand",
        "use_bias": "mamba_proj_bias",
        "use_conv_bias": "mamba_conv_bias",
    }
    absent: ClassVar[Mapping[str, Any]] = {
        **ENDLESS,
        "mamba_n_groups": 8,
        "mamba_d_state": 128,
    }
    hidden_act: Literal["silu"] = "silu"

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        without_attention(values, values.get("mamba_expand", 2))

    @property
    def rotary(self) -> bool:
        return False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.check_heads(f"expand {self.mamba_expand} times hidden_size {self.hidden_size}")
        return self


def layer(cfg: Mamba2LMConfig, index: int) -> MixerLayer:
    return MixerLayer(cfg, Mamba2(cfg.hidden_size, index, **cfg.mixer()))


class Mamba2LM(CausalLM):
    Layer: ClassVar[LayerOf] = staticmethod(layer)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [*BACKBONE],
    "gguf": [Rename("*.input_layernorm", "*.norm"), *ssm_rules("mixer")],
}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file says of the mixers: their width instead of its factor."""
    found = {**ssm_fields(values, "mamba2"), "mamba_proj_bias": False, "num_attention_heads": 1}
    hidden, heads = config.get("hidden_size"), found.get("mamba_n_heads")
    inner = values.get("mamba2.ssm.inner_size")
    if isinstance(inner, int) and isinstance(hidden, int):
        found["intermediate_size"] = inner
        found["mamba_expand"] = inner // max(1, hidden)
        if isinstance(heads, int):
            found["mamba_d_head"] = inner // max(1, heads)
    return found
