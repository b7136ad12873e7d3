"""The front of Gemma 3n's encoder of sounds: two convolutions over a spectrogram."""

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import Linear
from tramontane.config.decoder import ModelConfig

Pair = tuple[int, int]
EPS = 1e-6
"""Of norms that `rms_norm_eps` is not read for."""


class ConformerConfig(ModelConfig):
    """The fields of `audio_config`."""

    vocab_size: int = Field(default=128, gt=0, le=2**20, strict=True)
    vocab_offset: int = Field(default=262_272, ge=0, le=2**24, strict=True)
    input_feat_size: int = Field(default=128, gt=0, le=2**10, strict=True)
    hidden_size: int = Field(default=1536, gt=0, le=2**16, strict=True)
    rms_norm_eps: float = Field(default=1e-6, gt=0, le=1)
    gradient_clipping: float = Field(default=1e10, gt=0)
    conf_attention_context_left: int = Field(default=13, ge=0, le=2**12)
    conf_attention_context_right: int = Field(default=0, ge=0, le=2**12)
    conf_attention_logit_cap: float = Field(default=50.0, gt=0)
    conf_num_attention_heads: int = Field(default=8, gt=0, le=2**10, strict=True)
    conf_num_hidden_layers: int = Field(default=12, gt=0, le=1024, strict=True)
    conf_conv_kernel_size: int = Field(default=5, gt=0, le=2**10, strict=True)
    conf_reduction_factor: int = Field(default=4, gt=0, le=64, strict=True)
    conf_residual_weight: float = 0.5
    sscp_conv_channel_size: Pair = (128, 32)
    sscp_conv_group_norm_eps: float = Field(default=1e-3, gt=0, le=1)
    sscp_conv_kernel_size: tuple[Pair, Pair] = ((3, 3), (3, 3))
    sscp_conv_stride_size: tuple[Pair, Pair] = ((2, 2), (2, 2))

    @model_validator(mode="after")
    def _divides(self) -> "ConformerConfig":
        if self.hidden_size % self.conf_num_attention_heads or self.hidden_size % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} is no even multiple of conf_num_attention_heads "
                f"{self.conf_num_attention_heads}"
            )
        return self

    def bands(self, level: int) -> int:
        """Numbers of a frame and channel in front of a convolution; 2: behind both."""
        count = self.input_feat_size
        for (_, kernel), (_, stride) in list(
            zip(self.sscp_conv_kernel_size, self.sscp_conv_stride_size, strict=True)
        )[:level]:
            count = (count + 2 - kernel) // stride + 1
        return count

    def rows(self, frames: int) -> int:
        """Rows that so many frames of a spectrogram become."""
        for stride, _ in self.sscp_conv_stride_size:
            frames = (frames - 1) // stride + 1
        return -(-frames // self.conf_reduction_factor)


class Weight(nn.Module):
    """A tensor that is called weight."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape), requires_grad=False)


class Subsample(nn.Module):
    """relu of a norm of a convolution, (channels, frames, bands) -> fewer of both. The norm is of
    all that came before, over bands and channels."""

    def __init__(self, cfg: ConformerConfig, index: int) -> None:
        super().__init__()
        channels = (1, *cfg.sscp_conv_channel_size)
        self.kernel = cfg.sscp_conv_kernel_size[index]
        self.stride, self.eps = cfg.sscp_conv_stride_size[index], cfg.sscp_conv_group_norm_eps
        self.conv = Weight(channels[index + 1], channels[index], *self.kernel)
        self.norm = Weight(channels[index + 1])

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 0, self.kernel[0] - 1)).to(self.conv.weight.dtype)
        x = F.conv2d(padded[None], self.conv.weight, stride=self.stride)[0]
        values = x.float()
        count = torch.arange(1, x.shape[1] + 1, device=x.device) * (x.shape[0] * x.shape[2])
        mean = (values.sum((0, 2)).cumsum(0) / count)[:, None]
        away = values - mean
        variance = (away.square().sum((0, 2)).cumsum(0) / count)[:, None]
        normal = away * torch.rsqrt(variance + self.eps) * self.norm.weight.float()[:, None, None]
        return F.relu(normal.to(x.dtype))


class SubsampleProjection(nn.Module):
    """(frames, bands) -> (positions, hidden)."""

    def __init__(self, cfg: ConformerConfig) -> None:
        super().__init__()
        self.conv_0, self.conv_1 = Subsample(cfg, 0), Subsample(cfg, 1)
        wide = cfg.bands(2) * cfg.sscp_conv_channel_size[1]
        self.input_proj_linear = Linear(wide, cfg.hidden_size)

    def forward(self, features: Tensor) -> Tensor:
        x = self.conv_1(self.conv_0(features[None]))
        out: Tensor = self.input_proj_linear(x.permute(1, 2, 0).flatten(1))
        return out
