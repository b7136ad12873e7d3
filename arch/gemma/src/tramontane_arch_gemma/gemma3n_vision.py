"""Gemma 3n's encoder of images, MobileNetV5, and its processor: every image is one square, and
becomes a square of rows."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import RMSNorm
from tramontane.blocks.vision import Parts
from tramontane.config.decoder import ModelConfig
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import PixelSettings

from .gemma3n_convolution import ConvNorm, Convolution
from .gemma3n_mobilenet import AttentionBlock, EdgeResidual, InvertedResidual
from .gemma3n_subsample import EPS

Size = Annotated[int, Field(gt=0, le=2**16, strict=True)]
Four = tuple[Size, Size, Size, Size]


class MobileNetConfig(ModelConfig):
    """The fields of `vision_config`, and below `model_args` those that no checkpoint has: they make
    a smaller encoder for tests. `architecture` stands for their defaults."""

    architecture: Literal["mobilenetv5_300m_enc"] = "mobilenetv5_300m_enc"
    vocab_size: int = Field(default=128, gt=0, le=2**20, strict=True)
    vocab_offset: int = Field(default=262_144, ge=0, le=2**24, strict=True)
    hidden_size: Size = 2048
    rms_norm_eps: float = Field(default=1e-6, gt=0, le=1)
    model_args: dict[str, Any] | None = Field(default=None, max_length=0)
    image_size: int = Field(default=768, gt=0, le=2**12, strict=True)
    stem_channels: Size = 64
    stage_channels: Four = (128, 256, 640, 1280)
    edges: int = Field(default=3, gt=0, le=256)
    """Edge residuals of the first stage."""
    inverted: tuple[Size, Size] = (5, 8)
    """Inverted residuals with convolutions, of the second and third stage. The last has one."""
    attentions: tuple[Size, Size] = (14, 19)
    """Blocks of attention, and as many without convolutions, of the last two stages."""
    heads: tuple[Size, Size] = (12, 16)
    head_dims: tuple[Size, Size] = (64, 96)

    @model_validator(mode="after")
    def _divides(self) -> "MobileNetConfig":
        if self.image_size % 32:
            raise ValueError(f"image_size {self.image_size} is not a multiple of 32")
        return self


Block = EdgeResidual | InvertedResidual | AttentionBlock


def stages(cfg: MobileNetConfig) -> Iterator[list[Block]]:
    """Each halves height and width in its first block."""
    first, second, third, last = cfg.stage_channels
    edges = [EdgeResidual(first, first, 4, 3, 1) for _ in range(cfg.edges - 1)]
    yield [EdgeResidual(cfg.stem_channels, first, 4, 3, 2), *edges]
    few, more = cfg.inverted
    kernels = [5 if index % 2 else 3 for index in range(1, few)]
    yield [InvertedResidual(first, second, 6, 3, 5, 2),
           *(InvertedResidual(second, second, 4, kernel) for kernel in kernels)]  # fmt: skip
    yield [InvertedResidual(second, third, 6, 5, 5, 2),
           *(InvertedResidual(third, third, 4, 5) for _ in range(more - 1)),
           InvertedResidual(third, third, 1), *attending(cfg, 0)]  # fmt: skip
    yield [InvertedResidual(third, last, 6, 5, 5, 2), *attending(cfg, 1)]


def attending(cfg: MobileNetConfig, index: int) -> Iterator[Block]:
    """The blocks of attention of the third or last stage, and those between."""
    channels = cfg.stage_channels[2 + index]
    for _ in range(cfg.attentions[index]):
        yield AttentionBlock(channels, cfg.heads[index], cfg.head_dims[index], half=not index)
        yield InvertedResidual(channels, channels, 2)


class Fusion(nn.Module):
    """The maps of the last two stages as one, whose places are averaged to a square of `side`.
    Tensors: ffn, norm."""

    def __init__(self, cfg: MobileNetConfig, side: int) -> None:
        super().__init__()
        self.side, inner = side, sum(cfg.stage_channels[2:])
        self.ffn = InvertedResidual(inner, cfg.hidden_size, 2, scaled=False)
        self.norm = RMSNorm(cfg.hidden_size, EPS)

    def parts(self, fine: Tensor, coarse: Tensor) -> Parts:
        """(height, width, channels), (height / 2, width / 2, channels) -> (side², hidden)."""
        doubled = coarse.repeat_interleave(2, 0).repeat_interleave(2, 1)
        x = yield from self.ffn.parts(torch.cat((fine, doubled), -1))
        squares = F.avg_pool2d(x.permute(2, 0, 1)[None], x.shape[0] // self.side)[0]
        out: Tensor = self.norm(squares.flatten(1).T)
        return out


class MobileNet(nn.Module):
    """Tensors: conv_stem, blocks.STAGE.BLOCK, msfa."""

    def __init__(self, cfg: MobileNetConfig, side: int) -> None:
        super().__init__()
        stem = Convolution(3, cfg.stem_channels, 3, 2, bias=True)
        self.conv_stem = ConvNorm(stem, act=True)
        self.blocks: Any = nn.ModuleList(map(nn.ModuleList, stages(cfg)))
        self.msfa = Fusion(cfg, side)
        self.encoding_bytes = 6 * 4 * cfg.stem_channels * (cfg.image_size // 2) ** 2

    def parts(self, pixels: Tensor) -> Parts:
        """pixels: (3, height, width) -> (side², hidden)."""
        x = yield from self.conv_stem.parts(pixels.permute(1, 2, 0))
        maps = []
        for stage in self.blocks:
            for block in stage:
                yield None
                x = yield from block.parts(x)
            maps.append(x)
        yield None
        out = yield from self.msfa.parts(*maps[-2:])
        return out


class ImagesOf3n(MediaProcessor):
    """An image squeezed into the encoder's square. The last of its rows is the token's that ends
    it, so that all that the language model's vocabulary lacks is the encoder's."""

    mark, row = "<start_of_image>", "<image_soft_token>"
    FIXED: Mapping[str, Any] = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255}

    def __init__(self, cfg: MobileNetConfig, tokens: int, files: Mapping[str, Any]) -> None:
        told = settings_of(files, "image_processor")
        side, size = cfg.image_size, told.get("size") or {}
        given = {size.get("height", side), size.get("width", side)}
        if given != {side}:
            raise ValueError(f"images of {size} do not fit an encoder of {side} x {side}")
        for name, fits in self.FIXED.items():
            if told.get(name, fits) != fits:
                raise ValueError(f"{name} {told[name]} is not supported, only {fits}")
        self.side, self.rows = side, tokens + 1
        self.settings = PixelSettings.of(told, 3)
        self.normal = told.get("do_normalize", True)

    def prepare(self, pixels: Pixels) -> MediaItem:
        square = self.settings.resized(pixels, self.side, self.side)
        if self.normal:
            seen = self.settings.normalized(square)
        else:
            seen = square.transpose(2, 0, 1).astype(np.float32) * np.float32(1 / 255)
        return MediaItem("image", {"pixels": seen}, self.rows)

    def written(self, item: MediaItem) -> str:
        return f"\n\n{self.mark}{self.row * item.rows}\n\n"
