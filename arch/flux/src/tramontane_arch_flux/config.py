"""Configurations of the parts of a FLUX.1 checkpoint, in the words of diffusers' folders."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator
from tramontane.blocks import Gelu
from tramontane.blocks.vision import VisionConfig
from tramontane.config.decoder import ModelConfig


class PipelineConfig(ModelConfig):
    """`model_index.json`, which names the parts."""


class FluxConfig(ModelConfig):
    """`transformer/config.json`, with FLUX.1's values as defaults."""

    patch_size: Literal[1] = 1
    in_channels: int = Field(default=64, gt=0, le=2**12, strict=True, multiple_of=4)
    out_channels: int | None = Field(default=None, gt=0, le=2**12, strict=True)
    num_layers: int = Field(default=19, gt=0, le=1024, strict=True)
    num_single_layers: int = Field(default=38, ge=0, le=1024, strict=True)
    attention_head_dim: int = Field(default=128, gt=0, le=2**12, strict=True)
    num_attention_heads: int = Field(default=24, gt=0, le=2**10, strict=True)
    joint_attention_dim: int = Field(default=4096, gt=0, le=2**18, strict=True)
    pooled_projection_dim: int = Field(default=768, gt=0, le=2**18, strict=True)
    guidance_embeds: bool = False
    axes_dims_rope: tuple[int, int, int] = (16, 56, 56)

    @property
    def hidden_size(self) -> int:
        return self.attention_head_dim * self.num_attention_heads

    @model_validator(mode="after")
    def _fits(self) -> Self:
        axes = self.axes_dims_rope
        if sum(axes) != self.attention_head_dim or any(each <= 0 or each % 2 for each in axes):
            raise ValueError(
                f"axes_dims_rope {list(axes)} must be even numbers whose sum is "
                f"attention_head_dim {self.attention_head_dim}"
            )
        if self.out_channels not in (None, self.in_channels):
            raise ValueError(
                f"out_channels {self.out_channels} is not in_channels {self.in_channels}: a model "
                "that fills in parts of images, which is not supported"
            )
        return self


class T5Config(ModelConfig):
    """`text_encoder_2/config.json`: T5 1.1's encoder."""

    vocab_size: int = Field(default=32_128, gt=0, le=2**24, strict=True)
    d_model: int = Field(default=4096, gt=0, le=2**18, strict=True)
    d_kv: int = Field(default=64, gt=0, le=2**12, strict=True)
    d_ff: int = Field(default=10_240, gt=0, le=2**20, strict=True)
    num_layers: int = Field(default=24, gt=0, le=1024, strict=True)
    num_heads: int = Field(default=64, gt=0, le=2**12, strict=True)
    relative_attention_num_buckets: int = Field(default=32, gt=3, le=2**12, strict=True)
    relative_attention_max_distance: int = Field(default=128, gt=0, le=2**20, strict=True)
    layer_norm_epsilon: float = Field(default=1e-6, gt=0, le=1)
    feed_forward_proj: Literal["gated-gelu"] = "gated-gelu"
    pad_token_id: int = Field(default=0, ge=0, le=2**24, strict=True)


class ClipTextConfig(VisionConfig):
    """`text_encoder/config.json`: CLIP's encoder of texts. The fields of images mean nothing."""

    vocab_size: int = Field(default=49_408, gt=0, le=2**24, strict=True)
    max_position_embeddings: int = Field(default=77, gt=2, le=2**14, strict=True)
    hidden_act: Gelu | Literal["quick_gelu"] = "quick_gelu"
    layer_norm_eps: float = Field(default=1e-5, gt=0, le=1)
    eos_token_id: int = Field(default=2, ge=0, le=2**24, strict=True)


class VaeConfig(ModelConfig):
    """`vae/config.json`: the autoencoder between pixels and latents."""

    in_channels: Literal[3] = 3
    out_channels: Literal[3] = 3
    block_out_channels: tuple[int, ...] = Field(
        default=(128, 256, 512, 512), min_length=1, max_length=8
    )
    layers_per_block: int = Field(default=2, gt=0, le=32, strict=True)
    norm_num_groups: int = Field(default=32, gt=0, le=2**10, strict=True)
    latent_channels: int = Field(default=16, gt=0, le=2**10, strict=True)
    act_fn: Literal["silu"] = "silu"
    use_quant_conv: bool = True
    use_post_quant_conv: bool = True
    mid_block_add_attention: bool = True
    scaling_factor: float = 0.18215
    shift_factor: float | None = None

    @property
    def scale(self) -> int:
        """Pixels of a latent's edge."""
        return 1 << (len(self.block_out_channels) - 1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for wide in self.block_out_channels:
            if not 0 < wide <= 2**14 or wide % self.norm_num_groups:
                raise ValueError(
                    f"block_out_channels {list(self.block_out_channels)} must be multiples of "
                    f"norm_num_groups {self.norm_num_groups}"
                )
        if self.scaling_factor == 0:
            raise ValueError("scaling_factor 0 makes no latents")
        return self


class ScheduleConfig(ModelConfig):
    """`scheduler/scheduler_config.json`: how much noise is left after each step."""

    shift: float = Field(default=1.0, gt=0, le=1000)
    use_dynamic_shifting: bool = False
    base_shift: float = 0.5
    max_shift: float = 1.15
    base_image_seq_len: int = Field(default=256, gt=0, le=2**24, strict=True)
    max_image_seq_len: int = Field(default=4096, gt=0, le=2**24, strict=True)
    time_shift_type: Literal["exponential", "linear"] = "exponential"
    shift_terminal: None = None
    invert_sigmas: Literal[False] = False
    stochastic_sampling: Literal[False] = False
    use_karras_sigmas: Literal[False] | None = False
    use_exponential_sigmas: Literal[False] | None = False
    use_beta_sigmas: Literal[False] | None = False

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.max_image_seq_len <= self.base_image_seq_len:
            raise ValueError(
                f"max_image_seq_len {self.max_image_seq_len} must be more than base_image_seq_len "
                f"{self.base_image_seq_len}"
            )
        return self


AE: dict[str, Any] = {
    "use_quant_conv": False, "use_post_quant_conv": False,
    "scaling_factor": 0.3611, "shift_factor": 0.1159,
}  # fmt: skip
"""What `ae.safetensors` is, which comes without a configuration."""
DEV_SCHEDULE: dict[str, Any] = {"shift": 3.0, "use_dynamic_shifting": True}
"""FLUX.1 dev's."""
