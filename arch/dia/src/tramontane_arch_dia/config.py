"""What Dia's configuration says: a decoder of frames of codes, and the encoder of its text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator
from tramontane.config import DecoderConfig
from tramontane.config.decoder import ModelConfig
from tramontane.config.rope_settings import read_rope

DELAYS = (0, 8, 9, 10, 11, 12, 13, 14, 15)
"""Frames by which each channel comes later than the first."""


class EncoderConfig(ModelConfig):
    """The fields of `encoder_config`, with the defaults of Dia 1.6B."""

    vocab_size: int = Field(default=256, ge=256, le=2**16, strict=True)
    hidden_size: int = Field(default=1024, gt=0, le=2**16, strict=True)
    intermediate_size: int = Field(default=4096, gt=0, le=2**18, strict=True)
    num_hidden_layers: int = Field(default=12, gt=0, le=1024, strict=True)
    num_attention_heads: int = Field(default=16, gt=0, le=2**10, strict=True)
    head_dim: int = Field(default=128, gt=0, le=2**14, multiple_of=2, strict=True)
    max_position_embeddings: int = Field(default=1024, gt=0, le=2**20, strict=True)
    norm_eps: float = Field(default=1e-5, gt=0, le=1)
    rope_theta: float = Field(default=10_000.0, gt=0)
    rope_scaling: None = None
    hidden_act: Literal["silu"] = "silu"
    num_key_value_heads: int = Field(default=16, gt=0, le=2**10, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _rope(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        told = {key: value for key, value in values.items() if value is not None}
        read_rope(told)
        told.setdefault("num_key_value_heads", told.get("num_attention_heads", 16))
        return told

    @model_validator(mode="after")
    def _heads(self) -> EncoderConfig:
        if self.num_attention_heads != self.num_key_value_heads:
            raise ValueError(
                f"num_key_value_heads {self.num_key_value_heads} of the encoder differs from "
                f"num_attention_heads {self.num_attention_heads}, which is not supported"
            )
        return self


class DiaConfig(DecoderConfig):
    """The fields of `decoder_config` with `encoder_config` and the pattern of delays, with the
    defaults of Dia 1.6B. vocab_size is that of all channels together; `codes` of one."""

    num_channels: int = Field(default=9, gt=0, le=64, strict=True)
    codes: int = Field(default=1028, gt=0, le=2**16, strict=True)
    cross_num_attention_heads: int = Field(default=16, gt=0, le=2**10, strict=True)
    cross_num_key_value_heads: int = Field(default=16, gt=0, le=2**10, strict=True)
    cross_head_dim: int = Field(default=128, gt=0, le=2**14, strict=True)
    cross_hidden_size: int = Field(default=1024, gt=0, le=2**16, strict=True)
    hidden_act: Literal["silu"] = "silu"
    rope_scaling: None = None
    eos_token_id: int = Field(default=1024, gt=0, strict=True)
    pad_token_id: int = Field(default=1025, gt=0, strict=True)
    bos_token_id: int = Field(default=1026, gt=0, strict=True)
    delay_pattern: tuple[int, ...] = DELAYS
    encoder_config: EncoderConfig = Field(default_factory=EncoderConfig)

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        decoder = values.pop("decoder_config", None) or {}
        if not isinstance(decoder, Mapping):
            raise ValueError(f"decoder_config is a mapping, not {decoder!r:.40}")
        outside = {
            key: values[key]
            for key in ("pad_token_id", "eos_token_id", "bos_token_id")
            if values.get(key) is not None
        }
        told = {**DEFAULTS, **{k: v for k, v in decoder.items() if v is not None}, **outside}
        told["rms_norm_eps"] = told.pop("norm_eps")
        told["codes"] = told.pop("vocab_size")
        for key, value in told.items():
            values.setdefault(key, value)
        values.setdefault("encoder_config", {})
        if isinstance(values.get("codes"), int) and isinstance(values.get("num_channels"), int):
            values["vocab_size"] = values["codes"] * values["num_channels"]
        if isinstance(values.get("delay_pattern"), list):
            values["delay_pattern"] = tuple(values["delay_pattern"])

    @model_validator(mode="after")
    def _fits(self) -> DiaConfig:
        if len(self.delay_pattern) != self.num_channels:
            raise ValueError(
                f"delay_pattern has {len(self.delay_pattern)} entries for {self.num_channels} "
                "channels"
            )
        if self.delay_pattern[0] != 0 or not all(0 <= each < 1024 for each in self.delay_pattern):
            raise ValueError(
                f"delay_pattern {self.delay_pattern} does not begin with 0, or has delays that "
                "are not in 0 to 1023"
            )
        special = (self.eos_token_id, self.pad_token_id, self.bos_token_id)
        if len(set(special)) < 3 or max(special) >= self.codes or min(special) < self.eos_token_id:
            raise ValueError(
                f"eos, pad and bos tokens {special} are not three codes below {self.codes}, eos "
                "first"
            )
        if self.cross_num_attention_heads % self.cross_num_key_value_heads:
            raise ValueError(
                f"cross_num_attention_heads {self.cross_num_attention_heads} is not a multiple of "
                f"cross_num_key_value_heads {self.cross_num_key_value_heads}"
            )
        if self.cross_hidden_size != self.encoder_config.hidden_size:
            raise ValueError(
                f"cross_hidden_size {self.cross_hidden_size} is not the encoder's hidden_size "
                f"{self.encoder_config.hidden_size}"
            )
        return self

    @property
    def most_delay(self) -> int:
        """Frames after which all channels of a frame are there."""
        return max(self.delay_pattern)


DEFAULTS = {
    "vocab_size": 1028,
    "num_channels": 9,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 18,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "max_position_embeddings": 3072,
    "norm_eps": 1e-5,
}
