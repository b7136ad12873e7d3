"""The configuration of Llama 3.2 Vision."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from tramontane.blocks import Gelu
from tramontane.config import DecoderConfig
from tramontane.config.decoder import ModelConfig

MORE_TOKENS = 8
"""Rows of the embedding table that the head has not, `<|image|>` among them."""
ARRANGEMENTS = ((1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (3, 1), (4, 1))
"""Rows and columns of tiles, of four at most."""


def arrangements(most: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns of up to so many tiles, in the order of the encoder's tables."""
    sides = range(1, most + 1)
    return tuple((rows, columns) for rows in sides for columns in sides if rows * columns <= most)


class MllamaVisionConfig(ModelConfig):
    """The fields of `vision_config`. vision_output_dim: numbers of a patch, those of the last layer
    and of `intermediate_layers_indices`."""

    hidden_size: int = Field(default=1280, gt=0, le=2**16, strict=True)
    intermediate_size: int = Field(default=5120, gt=0, le=2**18, strict=True)
    num_hidden_layers: int = Field(default=32, gt=0, le=1024, strict=True)
    num_global_layers: int = Field(default=8, ge=0, le=1024, strict=True)
    attention_heads: int = Field(default=16, gt=0, le=2**10, strict=True)
    num_channels: int = Field(default=3, ge=3, le=3, strict=True)
    image_size: int = Field(default=448, gt=0, le=2**14, strict=True)
    patch_size: int = Field(default=14, gt=0, le=2**10, strict=True)
    hidden_act: Gelu | Literal["quick_gelu"] = "gelu"
    norm_eps: float = Field(default=1e-5, gt=0, le=1)
    vision_output_dim: int = Field(default=7680, gt=0, le=2**20, strict=True)
    max_num_tiles: int = Field(default=4, gt=0, le=64, strict=True)
    intermediate_layers_indices: tuple[int, ...] = Field(default=(3, 7, 15, 23, 30), min_length=1)
    supported_aspect_ratios: tuple[tuple[int, int], ...] = ARRANGEMENTS

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        told = {name: value for name, value in values.items() if value is not None}
        if "num_attention_heads" in told:
            told.setdefault("attention_heads", told["num_attention_heads"])
        return told

    @property
    def side(self) -> int:
        """Patches in a row of a tile."""
        return self.image_size // self.patch_size

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.hidden_size % self.attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of attention_heads "
                f"{self.attention_heads}"
            )
        if self.image_size < self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is less than patch_size {self.patch_size}"
            )
        layers = range(-self.num_hidden_layers, self.num_hidden_layers)
        if not all(layer in layers for layer in self.intermediate_layers_indices):
            raise ValueError(
                f"intermediate_layers_indices {list(self.intermediate_layers_indices)} are not all "
                f"of an encoder of {self.num_hidden_layers} layers"
            )
        made = self.hidden_size * (1 + len(self.intermediate_layers_indices))
        if self.vision_output_dim != made:
            raise ValueError(
                f"vision_output_dim {self.vision_output_dim}, but the encoder gives {made} numbers"
            )
        if self.supported_aspect_ratios != arrangements(self.max_num_tiles):
            raise ValueError(
                "supported_aspect_ratios are not all those of max_num_tiles "
                f"{self.max_num_tiles} in order, which the image processor counts by"
            )
        return self


class MllamaConfig(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    cross_attention_layers: tuple[int, ...] = (3, 8, 13, 18, 23, 28, 33, 38)
    vision_config: MllamaVisionConfig = Field(default_factory=lambda: MllamaVisionConfig())
    tie_word_embeddings: Literal[False] = False
    absent = MappingProxyType(
        {
            "vocab_size": 128_256, "hidden_size": 4096, "intermediate_size": 14_336,
            "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8,
            "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "max_position_embeddings": 131_072,
        }
    )  # fmt: skip

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        values["tie_word_embeddings"] = False  # the tables differ in size, and transformers reads
        values.pop("head_dim", None)  # neither

    @field_validator("cross_attention_layers")
    @classmethod
    def _once(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(layers)))

    @model_validator(mode="after")
    def _attends(self) -> Self:
        outside = [n for n in self.cross_attention_layers if not 0 <= n < self.num_hidden_layers]
        if outside:
            raise ValueError(
                f"cross_attention_layers has {outside[0]}, and the model has "
                f"{self.num_hidden_layers} layers"
            )
        if len(self.cross_attention_layers) == self.num_hidden_layers:
            raise ValueError("cross_attention_layers are all layers: none attends to the text")
        if not self.cross_attention_layers:
            raise ValueError("cross_attention_layers is empty: no layer sees an image")
        return self

    @property
    def known_tokens(self) -> int:
        return self.vocab_size + MORE_TOKENS
