"""RWKV-7's settings, in the words of flash-linear-attention's folders and of GGUF files."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from tramontane.config import DecoderConfig, LayerNormConfig


class TimeMixConfig(DecoderConfig):
    """What the time mix reads; num_attention_heads follows from head_dim."""

    head_dim: int = Field(default=64, gt=0, le=2**14, strict=True)
    decay_low_rank_dim: int = Field(default=64, gt=0, le=2**14, strict=True)
    a_low_rank_dim: int = Field(default=64, gt=0, le=2**14, strict=True)
    v_low_rank_dim: int = Field(default=16, gt=0, le=2**14, strict=True)
    gate_low_rank_dim: int = Field(default=128, ge=0, le=2**14, strict=True)
    """0: there is no gate."""
    group_norm: bool = True
    group_norm_eps: float = Field(default=64e-5, gt=0, le=1, strict=True)

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        hidden, heads = values.get("hidden_size"), values.get("num_heads")
        if values.get("head_dim") is None and isinstance(heads, int) and isinstance(hidden, int):
            if heads < 1 or hidden % heads:
                raise ValueError(f"num_heads {heads} does not divide hidden_size {hidden}")
            values["head_dim"] = hidden // heads
        size = values.setdefault("head_dim", 64)
        if isinstance(hidden, int) and isinstance(size, int) and size > 0:
            values.setdefault("num_attention_heads", max(1, hidden // size))

    @property
    def rotary(self) -> bool:
        return False

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        if self.hidden_size % self.head_dim:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of head_dim {self.head_dim}"
            )
        return self


class RwkvConfig(TimeMixConfig, LayerNormConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "norm_eps": "layer_norm_eps",
        "head_size": "head_dim",
        "lora_rank_decay": "decay_low_rank_dim",
        "lora_rank_iclr": "a_low_rank_dim",
        "lora_rank_value_residual_mix": "v_low_rank_dim",
        "lora_rank_gate": "gate_low_rank_dim",
    }
    gate_low_rank_dim: int = Field(default=128, gt=0, le=2**14, strict=True)
    hidden_act: Literal["sqrelu"] = "sqrelu"
    group_norm: Literal[True] = True
    norm_first: bool = True
    norm_bias: bool = True
    attn: None = None
    """Layers with attention, which flash-linear-attention can put between the others."""

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        hidden, size = values.get("hidden_size"), values["head_dim"]
        ratio = values.get("hidden_ratio", 4)
        if "intermediate_size" not in values and isinstance(hidden, int):
            if not isinstance(ratio, (int, float)) or ratio <= 0:
                raise ValueError(f"hidden_ratio {ratio!r} is no positive number")
            values["intermediate_size"] = 32 * -(-int(hidden * ratio) // 32)
        if isinstance(eps := values.get("layer_norm_eps", 1e-5), float) and isinstance(size, int):
            values.setdefault("group_norm_eps", size * eps)
        told = values.get("value_dim")
        wide = told if isinstance(told, (list, tuple)) else [hidden if told is None else told]
        if other := [each for each in wide if each != hidden]:
            raise ValueError(
                f"value_dim {other[0]!r} is not hidden_size {hidden}, which is not supported"
            )


class ArwkvConfig(TimeMixConfig):
    """Qwen 2.5 with RWKV-7's time mix for its attention (ARWKV), of GGUF files."""

    absent: ClassVar[Mapping[str, Any]] = {"v_low_rank_dim": 32}
    hidden_act: Literal["silu"] = "silu"
