"""Llama 4's configuration, in config.json's words and in a GGUF file's."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from tramontane.config import DecoderConfig

CHUNKED = "chunked_attention"
LLAMA_CPP_CHUNK, UNNORMALIZED = 8192, 128
"""What GGUF files do not say: the length of chunks, and how many experts the model has whose
queries and keys are not normalized."""


class Llama4Config(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    intermediate_size_mlp: int = Field(default=16_384, gt=0, le=2**22)
    """Of layers without experts; intermediate_size is of each expert."""
    num_local_experts: int = Field(default=16, gt=0)
    num_experts_per_tok: Literal[1] = 1
    moe_layers: tuple[int, ...] | None = None
    interleave_moe_layer_step: int = Field(default=1, gt=0)
    use_qk_norm: bool = True
    no_rope_layers: tuple[Literal[0, 1], ...] | None = None
    """1 for each layer that rotates, in spite of the name."""
    no_rope_layer_interval: int = Field(default=4, gt=0)
    attention_chunk_size: int | None = Field(default=8192, gt=0)
    layer_types: tuple[Literal["full_attention", "chunked_attention"], ...] | None = None
    attn_temperature_tuning: bool = True
    floor_scale: int = Field(default=8192, gt=0)
    attn_scale: float = 0.1
    absent = MappingProxyType(
        {"max_position_embeddings": 131_072, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0,
         "head_dim": 128}
    )  # fmt: skip

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if isinstance(tuned := values.get("attn_temperature_tuning"), int):
            values["attn_temperature_tuning"] = bool(tuned)  # the first files have a 4
        if values.get("no_rope_layers") in ([], ()):
            del values["no_rope_layers"]

    @model_validator(mode="after")
    def _says_how_long_chunks_are(self) -> Self:
        layers = range(self.num_hidden_layers)
        if self.attention_chunk_size is None and any(self.is_chunked(index) for index in layers):
            raise ValueError("attention_chunk_size is null, and layers have chunked_attention")
        return self

    def rotates(self, index: int) -> bool:
        """Whether the layer knows positions."""
        if self.no_rope_layers is not None:
            return bool(self.no_rope_layers[index])
        return (index + 1) % self.no_rope_layer_interval != 0

    def is_chunked(self, index: int) -> bool:
        if self.layer_types is not None:
            return self.layer_types[index] == CHUNKED
        return self.rotates(index)

    def chunk(self, index: int) -> int | None:
        """Length of the chunks in which tokens see each other in the layer; None: they see all."""
        return self.attention_chunk_size if self.is_chunked(index) else None

    def has_experts(self, index: int) -> bool:
        if self.moe_layers is not None:
            return index in self.moe_layers
        return (index + 1) % self.interleave_moe_layer_step == 0


def fields(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file says in other words than config.json, or not at all."""
    whole = metadata.get("llama4.attention.sliding_window") == 0
    found: dict[str, Any] = {
        "attention_chunk_size": None if whole else LLAMA_CPP_CHUNK,
        "use_qk_norm": config.get("num_local_experts") != UNNORMALIZED,
    }
    for ours, theirs in (
        ("intermediate_size_mlp", "intermediate_size"),
        ("intermediate_size", "moe_intermediate_size"),
    ):
        if config.get(theirs) is not None:
            found[ours] = config[theirs]
    return found
