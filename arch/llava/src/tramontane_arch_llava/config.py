"""Configurations of LLaVA: a language model of another family beside CLIP's encoder."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from tramontane.blocks import Gelu
from tramontane.blocks.clip import CLIP_LARGE, ClipConfig
from tramontane.config import DecoderConfig

LLAMA = {
    "vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 11_008,
    "num_hidden_layers": 32, "num_attention_heads": 32,
}  # fmt: skip
MISTRAL = LLAMA | {
    "intermediate_size": 14_336, "num_key_value_heads": 8, "max_position_embeddings": 131_072,
}  # fmt: skip
QWEN2 = LLAMA | {
    "vocab_size": 151_936, "intermediate_size": 22_016, "num_key_value_heads": 32,
    "max_position_embeddings": 32_768,
}  # fmt: skip
ABSENT: Mapping[str, Mapping[str, Any]] = {"llama": LLAMA, "mistral": MISTRAL, "qwen2": QWEN2}
"""What a missing key of `text_config` means, by its `model_type`."""


OUTER = ("llava", "llava_next", "llava_next_video")


class LlavaConfig(DecoderConfig):
    """model_type: the language model's."""

    model_type: Literal["llama", "mistral", "qwen2"] = "llama"
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    sliding_window: int | None = 4096
    use_sliding_window: bool = False
    max_window_layers: int = 28
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...] | None = None
    vision_config: ClipConfig = Field(default_factory=lambda: ClipConfig(**CLIP_LARGE))
    vision_feature_layer: int | tuple[int, ...] = -2
    vision_feature_select_strategy: Literal["default", "full"] = "default"
    projector_hidden_act: Gelu = "gelu"
    multimodal_projector_bias: bool = True

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if values.get("model_type") in OUTER:  # nothing is said of the text's
            values["model_type"] = "llama"
        kind = values.setdefault("model_type", "llama")
        for name, value in ABSENT.get(kind, LLAMA).items():
            values.setdefault(name, value)
        if kind != "qwen2":  # Mistral's window is in all layers, Llama has none
            values["use_sliding_window"] = kind == "mistral"
            values["max_window_layers"] = 0
            values.pop("layer_types", None)

    def window(self, index: int) -> int | None:
        """How many tokens back the layer sees; None: all."""
        if self.layer_types is not None:
            slides = self.layer_types[index] == "sliding_attention"
        else:
            slides = index >= self.max_window_layers
        return self.sliding_window if self.use_sliding_window and slides else None

    @property
    def biases(self) -> tuple[bool, bool]:
        """Of q, k and v, and of the output."""
        if self.model_type == "qwen2":
            return True, False
        bias = self.attention_bias and self.model_type == "llama"
        return bias, bias

    @property
    def features(self) -> tuple[int, ...]:
        """The layers of the encoder whose output is read, one beside the other; 0: the first one's
        input."""
        told = self.vision_feature_layer
        depth = self.vision_config.num_hidden_layers
        layers = told if isinstance(told, tuple) else (told,)
        return tuple(layer if layer >= 0 else depth + 1 + layer for layer in layers)

    @property
    def skipped(self) -> int:
        """Rows that an encoded square begins with and that are left out: the class token's."""
        return 1 if self.vision_feature_select_strategy == "default" else 0

    @property
    def square_rows(self) -> int:
        """Rows of an encoded square."""
        return self.vision_config.side**2 + 1 - self.skipped

    @model_validator(mode="after")
    def _has_features(self) -> Self:
        depth = self.vision_config.num_hidden_layers
        if not self.features or not all(0 <= layer <= depth for layer in self.features):
            raise ValueError(
                f"vision_feature_layer {self.vision_feature_layer} is none of an encoder of "
                f"{depth} layers"
            )
        return self
