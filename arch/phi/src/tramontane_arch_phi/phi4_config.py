"""Configurations of Phi-4-multimodal: as published, and as transformers has them.

The published ones say of the encoders what their own code does not know: nothing of that of images,
which is SigLIP's at 448 x 448, and much of that of sounds that has one value only.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from tramontane.blocks.vision import VisionConfig
from tramontane.config.decoder import ModelConfig

from .model import Phi3Config

IMAGE_LAYER: Mapping[str, Any] = MappingProxyType(
    {
        "embedding_cls": "tune_image",
        "projection_cls": "mlp",
        "use_hd_transform": True,
        "with_learnable_separator": True,
        "hd_transform_order": "sub_glb",
        "image_token_compression_cls": "avg_pool_2d",
    }
)
AUDIO_LAYER: Mapping[str, Any] = MappingProxyType(
    {
        "embedding_cls": "audio",
        "projection_cls": "mlp",
        "use_qformer": False,
        "use_conv_downsample": False,
    }
)
CONFORMER: Mapping[str, Any] = MappingProxyType(
    {
        "input_layer": "nemo_conv",
        "causal": True,
        "batch_norm": False,
        "bias_in_glu": True,
        "ext_pw_kernel_size": 1,
    }
)
"""What is computed; a published configuration that says otherwise is refused."""
SPELLINGS = {
    "attention_dim": "hidden_size",
    "attention_heads": "num_attention_heads",
    "linear_units": "intermediate_size",
    "depthwise_seperable_out_channel": "depthwise_separable_out_channel",
}


class CropsConfig(VisionConfig):
    """The fields of `vision_config`. crop_size: pixels of a side of what an image is cut into."""

    hidden_size: int = Field(default=1152, gt=0, le=2**16, strict=True)
    intermediate_size: int = Field(default=4304, gt=0, le=2**18, strict=True)
    num_hidden_layers: int = Field(default=27, gt=0, le=1024, strict=True)
    num_attention_heads: int = Field(default=16, gt=0, le=2**10, strict=True)
    image_size: int = Field(default=448, gt=0, le=2**14, strict=True)
    patch_size: int = Field(default=14, gt=0, le=2**10, strict=True)
    crop_size: int = Field(default=448, gt=0, le=2**14, strict=True)
    feature_layer: int = -2

    @property
    def feature(self) -> int:
        """The layer whose output is read; 0: the first one's input."""
        told = self.feature_layer
        return told if told >= 0 else self.num_hidden_layers + 1 + told

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.crop_size != self.image_size:
            raise ValueError(
                f"crop_size {self.crop_size} is not image_size {self.image_size}, which is not "
                "supported"
            )
        if self.side % 2 or self.side * self.patch_size != self.image_size:
            raise ValueError(
                f"image_size {self.image_size} is no even number of patches of {self.patch_size}"
            )
        if not 0 <= self.feature <= self.num_hidden_layers:
            raise ValueError(
                f"feature_layer {self.feature_layer} is none of an encoder of "
                f"{self.num_hidden_layers} layers"
            )
        return self


class SoundsConfig(ModelConfig):
    """The fields of `audio_config`: of a conformer with a convolution that shortens a spectrogram
    to one position of `time_reduction` frames."""

    hidden_size: int = Field(default=1024, gt=0, le=2**16, strict=True)
    intermediate_size: int = Field(default=1536, gt=0, le=2**18, strict=True)
    num_blocks: int = Field(default=24, gt=0, le=1024, strict=True)
    num_attention_heads: int = Field(default=16, gt=0, le=2**10, strict=True)
    input_size: int = Field(default=80, gt=0, le=2**10, strict=True)
    activation: Literal["swish", "silu"] = "swish"
    conv_activation: Literal["swish", "silu"] = "swish"
    conv_glu_type: Literal["swish", "silu"] = "swish"
    nemo_activation: Literal["relu"] = "relu"
    chunk_size: Literal[-1] = -1
    ext_pw_out_channel: int = Field(default=1024, gt=0, le=2**16, strict=True)
    depthwise_separable_out_channel: int = Field(default=1024, gt=0, le=2**16, strict=True)
    depthwise_multiplier: int = Field(default=1, gt=0, le=64, strict=True)
    kernel_size: int = Field(default=3, gt=0, le=1024, strict=True)
    time_reduction: int = Field(default=8, gt=1, le=64, strict=True)
    bias_max_distance: int = Field(default=1000, gt=0, le=2**16, strict=True)
    bias_symmetric: Literal[False] = False
    nemo_conv_channels: int = Field(default=1024, gt=0, le=2**16, strict=True)
    downsample_rate: Literal[1] = 1

    @property
    def halvings(self) -> int:
        """Convolutions that each leave every second frame, and every second band."""
        return self.time_reduction.bit_length() - 1

    @property
    def bands(self) -> int:
        """Of a position, behind them."""
        return math.ceil(self.input_size / self.time_reduction)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                f"{self.num_attention_heads}"
            )
        if self.time_reduction != 1 << self.halvings:
            raise ValueError(f"time_reduction {self.time_reduction} is no power of two")
        for name in ("ext_pw_out_channel", "depthwise_separable_out_channel"):
            if getattr(self, name) != self.hidden_size:
                raise ValueError(
                    f"{name} {getattr(self, name)} is not hidden_size {self.hidden_size}, which "
                    "is not supported"
                )
        return self


class LoraSettings(ModelConfig):
    """Of adapters that lie among the checkpoint's own tensors."""

    r: int = Field(gt=0, le=2**14, strict=True)
    lora_alpha: float = Field(gt=0)


class Phi4MultimodalConfig(Phi3Config):
    vision_config: CropsConfig = Field(default_factory=CropsConfig)
    audio_config: SoundsConfig = Field(default_factory=SoundsConfig)
    vision_lora: LoraSettings | None = None
    speech_lora: LoraSettings | None = None
    absent = MappingProxyType(
        dict(Phi3Config.absent)
        | {
            "vocab_size": 200_064,
            "hidden_size": 3072,
            "intermediate_size": 8192,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "max_position_embeddings": 131_072,
        }
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        values.setdefault("original_max_position_embeddings", 4096)
        if "embd_layer" not in values and "audio_processor" not in values:
            return
        layers = _part(values, "embd_layer")
        _same("embd_layer", layers, {"embedding_cls": "image_audio"})
        images, sounds = (_part(layers, f"{name}_embd_layer") for name in ("image", "audio"))
        _same("embd_layer.image_embd_layer", images, IMAGE_LAYER)
        _same("embd_layer.audio_embd_layer", sounds, AUDIO_LAYER)
        vision = {"crop_size": images.get("crop_size", 336), **_part(values, "vision_config")}
        tower = _part(values, "img_processor")
        _same("img_processor", {"type_feature": "patch", **tower}, {"type_feature": "patch"})
        if "layer_idx" in tower:
            vision["feature_layer"] = tower["layer_idx"]
        values["vision_config"] = vision
        values["audio_config"] = _conformer(_part(values, "audio_processor"), sounds)


def _conformer(told: Mapping[str, Any], sounds: Mapping[str, Any]) -> dict[str, Any]:
    """`audio_config` in transformers' words, from the published ones."""
    _same("audio_processor", told, {"name": "cascades"})
    given = dict(_part(told, "config"))
    _same("audio_processor.config", {**CONFORMER, **given}, CONFORMER)
    found = {SPELLINGS.get(name, name): value for name, value in given.items()}
    bias = _part(given, "relative_attention_bias_args")
    _same("relative_attention_bias_args", bias, {"type": "t5"})
    found["bias_max_distance"] = bias.get("t5_bias_max_distance", 1000)
    found["bias_symmetric"] = bias.get("t5_bias_symmetric", False)
    if "conv_channels" in (channels := _part(given, "nemo_conv_settings")):
        found["nemo_conv_channels"] = channels["conv_channels"]
    found["downsample_rate"] = sounds.get("downsample_rate", 1)
    reduced = found.get("time_reduction", 8)
    _same("embd_layer.audio_embd_layer", {"compression_rate": reduced, **sounds},
          {"compression_rate": reduced})  # fmt: skip
    return found


def _part(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name) or {}
    if not isinstance(found, Mapping):
        raise ValueError(f"{name} should have fields of its own, not {found!r:.40}")
    return found


def _same(where: str, told: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if told.get(name) != value:
            raise ValueError(
                f"{where}.{name} {told.get(name)!r:.40} is not supported, only {value!r}"
            )
