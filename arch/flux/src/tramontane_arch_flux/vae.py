"""The autoencoder between pixels and latents (Rombach et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import Linear, TaskModel
from tramontane.blocks.vision import Parts

from .config import VaeConfig

EPS = 1e-6


class Conv(nn.Module):
    """A convolution with as many rows and columns as before, or half. Tensors: weight (n_out, n_in,
    size, size), bias (n_out)."""

    def __init__(self, n_in: int, n_out: int, size: int = 3, *, halves: bool = False) -> None:
        super().__init__()
        shape = n_out, n_in, size, size
        self.weight = nn.Parameter(torch.empty(shape), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(n_out), requires_grad=False)
        self.halves = halves

    def forward(self, x: Tensor) -> Tensor:
        if self.halves:  # what is missing is at the right and below
            return F.conv2d(F.pad(x, (0, 1, 0, 1)), self.weight, self.bias, stride=2)
        return F.conv2d(x, self.weight, self.bias, padding=self.weight.shape[2] // 2)


class GroupNorm(nn.Module):
    """(Wu and He 2018) over groups of channels. Tensors: weight, bias (channels)."""

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(channels), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(channels), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.groups, self.weight, self.bias, EPS)


class Resnet(nn.Module):
    """x + conv2(silu(norm2(conv1(silu(norm1(x)))))). Tensors: norm1, conv1, norm2, conv2,
    conv_shortcut where the channels change."""

    def __init__(self, cfg: VaeConfig, n_in: int, n_out: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(cfg.norm_num_groups, n_in)
        self.conv1 = Conv(n_in, n_out)
        self.norm2 = GroupNorm(cfg.norm_num_groups, n_out)
        self.conv2 = Conv(n_out, n_out)
        self.conv_shortcut = Conv(n_in, n_out, 1) if n_in != n_out else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        out: Tensor = y + (x if self.conv_shortcut is None else self.conv_shortcut(x))
        return out


class Attention(nn.Module):
    """x + attention(norm(x)) of all places, one head. Tensors: group_norm, to_q, to_k, to_v,
    to_out."""

    def __init__(self, cfg: VaeConfig, wide: int) -> None:
        super().__init__()
        self.group_norm = GroupNorm(cfg.norm_num_groups, wide)
        self.to_q = Linear(wide, wide, bias=True)
        self.to_k = Linear(wide, wide, bias=True)
        self.to_v = Linear(wide, wide, bias=True)
        self.to_out = Linear(wide, wide, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.group_norm(x)[0].flatten(1).T.contiguous()  # (places, channels)
        q, k, v = (each(rows)[None, None] for each in (self.to_q, self.to_k, self.to_v))
        mixed = self.to_out(F.scaled_dot_product_attention(q, k, v)[0, 0])
        out: Tensor = x + mixed.T.reshape(x.shape)
        return out


class Middle(nn.Module):
    """Tensors: resnets.0, attentions.0, resnets.1."""

    def __init__(self, cfg: VaeConfig) -> None:
        super().__init__()
        wide = cfg.block_out_channels[-1]
        self.resnets: Any = nn.ModuleList(Resnet(cfg, wide, wide) for _ in range(2))
        self.attentions: Any = nn.ModuleList(
            [Attention(cfg, wide)] if cfg.mid_block_add_attention else []
        )

    def pieces(self) -> Iterator[nn.Module]:
        yield self.resnets[0]
        yield from self.attentions
        yield self.resnets[1]


class Resized(nn.Module):
    """Half or double the rows and columns. Tensor: conv."""

    def __init__(self, wide: int, *, halves: bool) -> None:
        super().__init__()
        self.conv, self.halves = Conv(wide, wide, halves=halves), halves

    def forward(self, x: Tensor) -> Tensor:
        if not self.halves:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        out: Tensor = self.conv(x)
        return out


class Level(nn.Module):
    """Blocks of one size. Tensors: resnets.N; downsamplers.0 or upsamplers.0, unless it is the
    last."""

    def __init__(self, cfg: VaeConfig, n_in: int, n_out: int, *, up: bool, last: bool) -> None:
        super().__init__()
        count = cfg.layers_per_block + up
        self.resnets: Any = nn.ModuleList(
            Resnet(cfg, n_out if index else n_in, n_out) for index in range(count)
        )
        resized = nn.ModuleList([] if last else [Resized(n_out, halves=not up)])
        self.name = "upsamplers" if up else "downsamplers"
        self.add_module(self.name, resized)

    def pieces(self) -> Iterator[nn.Module]:
        yield from self.resnets
        yield from self.get_submodule(self.name).children()


def in_turn(x: Tensor, pieces: Iterable[nn.Module]) -> Parts:
    """One after the other; it may be interrupted between them."""
    for piece in pieces:
        x = piece(x)
        yield None
    return x


class Coder(nn.Module):
    """Encoder or decoder. Tensors: conv_in, down_blocks or up_blocks, mid_block, conv_norm_out,
    conv_out."""

    def __init__(self, cfg: VaeConfig, *, up: bool) -> None:
        super().__init__()
        wide, latent, self.up = [*cfg.block_out_channels], cfg.latent_channels, up
        if up:
            wide.reverse()
        self.conv_in = Conv(latent if up else cfg.in_channels, wide[0])
        last = len(wide) - 1
        levels: Any = nn.ModuleList(
            Level(cfg, wide[max(index - 1, 0)], each, up=up, last=index == last)
            for index, each in enumerate(wide)
        )
        self.name = "up_blocks" if up else "down_blocks"
        self.add_module(self.name, levels)
        self.mid_block = Middle(cfg)
        self.conv_norm_out = GroupNorm(cfg.norm_num_groups, wide[-1])
        self.conv_out = Conv(wide[-1], cfg.out_channels if up else 2 * latent)

    def parts(self, x: Tensor) -> Parts:
        """(1, channels, h, w) -> the other side."""
        levels: Any = self.get_submodule(self.name)
        outside = [piece for level in levels for piece in level.pieces()]
        middle = list(self.mid_block.pieces())
        x = self.conv_in(x)
        x = yield from in_turn(x, middle + outside if self.up else outside + middle)
        out: Tensor = self.conv_out(F.silu(self.conv_norm_out(x)))
        return out


class Vae(TaskModel):
    """Tensors: encoder, decoder; quant_conv and post_quant_conv where the configuration says so."""

    cfg: VaeConfig
    torch_threads = None

    def __init__(self, cfg: VaeConfig) -> None:
        super().__init__(cfg)
        latent = cfg.latent_channels
        self.encoder, self.decoder = Coder(cfg, up=False), Coder(cfg, up=True)
        self.quant_conv = Conv(2 * latent, 2 * latent, 1) if cfg.use_quant_conv else None
        self.post_quant_conv = Conv(latent, latent, 1) if cfg.use_post_quant_conv else None

    @property
    def working_bytes(self) -> int:
        """Of an image of 1024 x 1024: three times its widest level, in float32."""
        wide = self.cfg.block_out_channels[:2]
        return 3 * 4 * 1024**2 * max(wide)

    def decode(self, latents: Tensor) -> Parts:
        """(1, latent_channels, h, w) -> pixels (1, 3, scale h, scale w), from about -1 to 1."""
        x = latents / self.cfg.scaling_factor + (self.cfg.shift_factor or 0.0)
        if self.post_quant_conv is not None:
            x = self.post_quant_conv(x)
        return (yield from self.decoder.parts(x))

    def encode(self, pixels: Tensor) -> Parts:
        """(1, 3, height, width) from -1 to 1 -> what latents are drawn from, their mean and the
        logarithm of their variance: (1, 2 latent_channels, height / scale, width / scale)."""
        x = yield from self.encoder.parts(pixels)
        return x if self.quant_conv is None else self.quant_conv(x)

    def draw(self, moments: Tensor, generator: torch.Generator) -> Tensor:
        """Latents (1, latent_channels, h, w) by what `encode` gave."""
        mean, logvar = moments.chunk(2, 1)
        drawn = torch.randn(mean.shape, generator=generator, dtype=torch.float32).to(mean)
        z = mean + torch.exp(0.5 * logvar.clamp(-30, 20)) * drawn
        return (z - (self.cfg.shift_factor or 0.0)) * self.cfg.scaling_factor
