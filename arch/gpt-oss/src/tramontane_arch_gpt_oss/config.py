"""GPT-OSS's config.json, and what its GGUF files say instead."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field
from tramontane.config import DecoderConfig

FULL, SLIDING = "full_attention", "sliding_attention"
YARN = MappingProxyType(
    {
        "rope_type": "yarn",
        "factor": 32.0,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "truncate": False,
        "original_max_position_embeddings": 4096,
    }
)
"""The rotation's scaling where config.json has none."""


class GptOssConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {"num_experts": "num_local_experts"}
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = True
    sliding_window: int | None = 128
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...]
    num_local_experts: int = Field(default=128, gt=0, strict=True)
    num_experts_per_tok: int = Field(default=4, gt=0, strict=True)
    swiglu_alpha: float = 1.702
    swiglu_limit: float = Field(default=7.0, gt=0)
    absent = MappingProxyType(
        {
            "head_dim": 64,
            "max_position_embeddings": 131_072,
            "rms_norm_eps": 1e-5,
            "rope_theta": 150_000.0,
        }
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if values.get("rope_scaling") is None and values.get("rope_parameters") is None:
            values["rope_scaling"] = dict(YARN)
        layers = values.get("num_hidden_layers")
        if "layer_types" not in values and isinstance(layers, int) and layers <= 4096:
            values["layer_types"] = [FULL if index % 2 else SLIDING for index in range(layers)]

    def window(self, index: int) -> int | None:
        """How many tokens a layer's attention sees; None: all."""
        return self.sliding_window if self.layer_types[index] == SLIDING else None


def fields(metadata: Mapping[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """What a GGUF file does not say: that yarn's ramp ends between frequencies, as in every
    checkpoint of the family. llama.cpp rounds its ends outwards."""
    scaling = config.get("rope_scaling")
    found: dict[str, Any] = {"rope_parameters": {"rope_type": "default"}}
    if scaling is not None:
        found = {"rope_scaling": {"truncate": False, **scaling}}
    wide = metadata.get("gpt-oss.expert_feed_forward_length")
    return found if wide is None else found | {"intermediate_size": wide}
