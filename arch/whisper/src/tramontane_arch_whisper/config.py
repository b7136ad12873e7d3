"""The configuration of Whisper: of an encoder and of a decoder, in one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field
from tramontane.blocks import Gelu
from tramontane.blocks.hearing import HearingConfig
from tramontane.config import LayerNormConfig

ENCODER: Mapping[str, Any] = MappingProxyType(
    {
        "d_model": 384,
        "encoder_layers": 4,
        "encoder_attention_heads": 6,
        "encoder_ffn_dim": 1536,
        "num_mel_bins": 80,
        "max_source_positions": 1500,
        "activation_function": "gelu",
    }
)
"""The encoder's fields, with what a missing one means."""
DECODER: Mapping[str, str] = MappingProxyType(
    {
        "d_model": "hidden_size",
        "decoder_layers": "num_hidden_layers",
        "decoder_attention_heads": "num_attention_heads",
        "decoder_ffn_dim": "intermediate_size",
        "max_target_positions": "max_position_embeddings",
        "activation_function": "hidden_act",
    }
)
"""The decoder's fields. Files have some of the names on the right too, of the encoder."""


class WhisperConfig(LayerNormConfig):
    """audio_config: the encoder's, of the same file."""

    hidden_act: Gelu | Literal["relu", "silu", "quick_gelu"] = "gelu"
    audio_config: HearingConfig = Field(default_factory=HearingConfig)
    tie_word_embeddings: bool = True
    absent = MappingProxyType(
        {
            "vocab_size": 51_865,
            "hidden_size": 384,
            "intermediate_size": 1536,
            "num_hidden_layers": 4,
            "num_attention_heads": 6,
            "max_position_embeddings": 448,
        }
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        values["audio_config"] = {name: values.get(name, ENCODER[name]) for name in ENCODER}
        heads = values["audio_config"]["encoder_attention_heads"]
        if values.get("num_attention_heads", heads) != heads:
            raise ValueError(
                f"num_attention_heads {values['num_attention_heads']!r:.40} is not "
                f"encoder_attention_heads {heads}, which it repeats"
            )
        for said, meant in DECODER.items():
            if meant != "hidden_act" or said in values:
                values.pop(meant, None)
            if said in values:
                values[meant] = values[said]
        for implied in ("num_key_value_heads", "head_dim"):
            values.pop(implied, None)

    @property
    def rotary(self) -> bool:
        return False
