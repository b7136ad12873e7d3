"""MiniCPM-V 2.6 and the part of MiniCPM-o 2.6 that sees: Qwen2, with images and slices of them in
their own proportions, of each of which learned queries make a fixed number of rows."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from tramontane.blocks import Attention, GatedMLP, MediaLM, PreNormLayer, rope_for
from tramontane.blocks.buckets import BucketEmbeddings
from tramontane.blocks.vision import SiglipTower, VisionConfig
from tramontane.checkpoint.rules import Rename, Rule, Skip
from tramontane.config import DecoderConfig

from .resampler import HEAD, Resampler

SIGLIP: Mapping[str, Any] = MappingProxyType(
    {
        "hidden_size": 1152,
        "image_size": 980,
        "intermediate_size": 4304,
        "num_attention_heads": 16,
        "num_hidden_layers": 27,
        "patch_size": 14,
    }
)
"""What a missing `vision_config` means; one that is there has SigLIP's defaults."""


class MiniCpmVisionConfig(DecoderConfig):
    """model_type: that of MiniCPM-V has other models of other versions."""

    hidden_act: Literal["silu"] = "silu"
    model_type: Literal["minicpmv", "minicpmo"] = "minicpmv"
    version: str | float | None = None
    use_sliding_window: Literal[False] = False
    query_num: int = Field(default=64, gt=0, le=2**14, strict=True)
    drop_vision_last_layer: bool = True
    slice_mode: Literal[True] = True
    init_vision: Literal[True] = True
    vision_config: VisionConfig = Field(default_factory=lambda: VisionConfig(**SIGLIP))
    absent = MappingProxyType(
        {
            "vocab_size": 151_936,
            "hidden_size": 4096,
            "intermediate_size": 22_016,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "max_position_embeddings": 32_768,
        }
    )

    @property
    def layers_read(self) -> int:
        """Layers of the encoder that are run."""
        return self.vision_config.num_hidden_layers - self.drop_vision_last_layer

    @model_validator(mode="after")
    def _is_one_of_these(self) -> Self:
        told = self.version
        if str(told) != "2.6" and not (told is None and self.model_type == "minicpmo"):
            said = "no version" if told is None else f"version {told}"
            raise ValueError(
                f"a configuration of model_type {self.model_type!r} with {said}; only MiniCPM-V "
                "and MiniCPM-o 2.6 are supported"
            )
        if self.hidden_size % HEAD:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of {HEAD}, a head of what reads "
                "images"
            )
        if not self.layers_read:
            raise ValueError("drop_vision_last_layer leaves no layer of the encoder")
        return self


def layer(cfg: MiniCpmVisionConfig, index: int) -> PreNormLayer:
    return PreNormLayer(cfg, Attention(cfg, index, rope=rope_for(cfg), bias=True), GatedMLP(cfg))


class SliceEmbeddings(BucketEmbeddings):
    """Fractions are multiples of a step in float32, as the checkpoints' code has them: other
    patches share a position than in Idefics."""

    def fractions(self, count: int) -> Tensor:
        return torch.arange(0, 1 - 1e-6, float(1 / torch.tensor(count)))


class MiniCpmVision(MediaLM):
    """Tensors: vpm, resampler, and Qwen2's."""

    Layer = staticmethod(layer)

    def __init__(self, cfg: MiniCpmVisionConfig) -> None:
        super().__init__(cfg)
        vision = cfg.vision_config.model_copy(update={"num_hidden_layers": cfg.layers_read})
        self.vpm = SiglipTower(vision)
        self.vpm.embeddings = SliceEmbeddings(vision)
        self.resampler = Resampler(cfg.hidden_size, vision.hidden_size, cfg.query_num)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        size, rows = self.vpm.embeddings.size, []
        for pixels in (arrays["source"], *arrays["slices"]):
            for x in self.vpm.steps(pixels):
                if x is not None:
                    down, across = (side // size for side in pixels.shape[1:])
                    rows.append(self.resampler(x, down, across))
                yield None
        yield torch.cat(rows)


def weights(cfg: MiniCpmVisionConfig) -> dict[str, list[Rule]]:
    """The encoder's last layer is left out where it is not read, and what speaks in MiniCPM-o."""
    unread = range(cfg.layers_read, cfg.vision_config.num_hidden_layers)
    return {
        "hf": [
            Skip("*.rotary_emb"),
            Skip("*.position_ids"),
            Skip("tts.*"),
            Skip("resampler.pos_embed"),
            *(Skip(f"vpm.encoder.layers.{index}.*") for index in unread),
            Rename("llm.model.*", "model.*"),
            Rename("llm.lm_head", "lm_head"),
            Rename("resampler.attn.in_proj_weight", "resampler.attn.in_proj.weight"),
            Rename("resampler.attn.in_proj_bias", "resampler.attn.in_proj.bias"),
        ]
    }
