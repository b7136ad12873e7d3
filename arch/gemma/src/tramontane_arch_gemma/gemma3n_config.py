"""Gemma 3n's configuration, in config.json's words and in a GGUF file's."""

import math
from collections.abc import Mapping
from statistics import NormalDist
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from .gemma4_config import FULL, SLIDING, LayeredConfig, read_rotations
from .model import TANH_NAME


class Gemma3nConfig(LayeredConfig):
    intermediate_size: tuple[Annotated[int, Field(gt=0, le=2**22)], ...]  # type: ignore[assignment]
    num_kv_shared_layers: int = Field(default=15, ge=0)
    final_logit_softcapping: float | None = Field(default=30.0, ge=0)
    hidden_size_per_layer_input: int = Field(default=256, gt=0, le=2**20)
    altup_active_idx: int = Field(default=0, ge=0)
    altup_correct_scale: bool = True
    altup_num_inputs: int = Field(default=4, gt=0, le=64)
    laurel_rank: int = Field(default=64, gt=0, le=2**20)
    activation_sparsity_pattern: tuple[Annotated[float, Field(ge=0, lt=1)], ...]
    absent = MappingProxyType({"max_position_embeddings": 32_768})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        values["hidden_act"] = values.get("hidden_activation", values.get("hidden_act", TANH_NAME))
        values.setdefault("head_dim", 256)
        read_rotations(values, full="default")
        layers = values.get("num_hidden_layers")
        if not isinstance(layers, int) or not 0 < layers <= 4096:
            return  # refused by its name
        kinds = [SLIDING if (index + 1) % 5 else FULL for index in range(layers)]
        sparse = 10 if layers > 10 else 0
        values.setdefault("layer_types", kinds)
        pattern = [0.95] * sparse + [0.0] * (layers - sparse)
        values.setdefault("activation_sparsity_pattern", pattern)
        if isinstance(wide := values.get("intermediate_size"), int):
            values["intermediate_size"] = (wide,) * layers

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        count = len(self.activation_sparsity_pattern)
        if count != self.num_hidden_layers:
            raise ValueError(
                f"activation_sparsity_pattern has {count} entries for "
                f"{self.num_hidden_layers} layers"
            )
        if self.altup_active_idx >= self.altup_num_inputs:
            raise ValueError(
                f"altup_active_idx {self.altup_active_idx} is none of altup_num_inputs "
                f"{self.altup_num_inputs}"
            )
        return self

    def deviations(self, index: int) -> float | None:
        """How far above its mean a layer's gate lets numbers through; None: all of them."""
        share = self.activation_sparsity_pattern[index]
        return NormalDist().inv_cdf(share) if share else None


def fields(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file says that has no word in config.json, or another form there."""
    told = {
        "attention.shared_kv_layers": "num_kv_shared_layers",
        "embedding_length_per_layer_input": "hidden_size_per_layer_input",
        "altup.active_idx": "altup_active_idx",
        "altup.num_inputs": "altup_num_inputs",
    }
    found = {
        field: value
        for key, field in told.items()
        if (value := metadata.get(f"gemma3n.{key}")) is not None
    }
    found["vocab_size_per_layer_input"] = config.get("vocab_size")
    if (scales := metadata.get("gemma3n.activation_sparsity_scale")) is not None:
        found["activation_sparsity_pattern"] = [
            NormalDist().cdf(each) if math.isfinite(each) else 0.0 for each in scales
        ]
    return found
