"""Mamba-2: layers of one mixer with a decay for each head, and no attention."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from torch import Tensor, nn
from tramontane.blocks import CausalLM, LayerOf, Mamba2, rms_norm
from tramontane.checkpoint.rules import Rename, Rule
from tramontane.checkpoint.state_rules import ssm_fields, ssm_rules
from tramontane.config import Mamba2Config
from tramontane.engine.batch import Batch


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
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 2**20,  # there is no limit; the number that GGUF files have
        "mamba_n_groups": 8,
        "mamba_d_state": 128,
    }
    hidden_act: Literal["silu"] = "silu"

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        hidden, expand = values.get("hidden_size"), values.get("mamba_expand", 2)
        if isinstance(hidden, int) and isinstance(expand, int):
            values.setdefault("intermediate_size", hidden * expand)
        values.setdefault("num_attention_heads", 1)  # there are none
        values["head_dim"] = 1

    @property
    def rotary(self) -> bool:
        return False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.check_heads(f"expand {self.mamba_expand} times hidden_size {self.hidden_size}")
        return self


class Mamba2Layer(nn.Module):
    """x + mixer(norm(x))."""

    def __init__(self, cfg: Mamba2LMConfig, index: int) -> None:
        super().__init__()
        self.norm = rms_norm(cfg)
        self.mixer = Mamba2(cfg.hidden_size, index, **cfg.mixer())

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        out: Tensor = x + self.mixer(self.norm(x), batch)
        return out


class Mamba2LM(CausalLM):
    Layer: ClassVar[LayerOf] = Mamba2Layer


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Rename("backbone.embeddings", "model.embed_tokens"),
        Rename("backbone.norm_f", "model.norm"),
        Rename("backbone.*", "model.*"),
    ],
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
