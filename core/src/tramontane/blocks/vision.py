"""Encoders of pictures (Dosovitskiy et al. 2020): patches, learned positions, full attention."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from tramontane import reference
from tramontane.config.decoder import ModelConfig
from tramontane.layouts import Dense, Layout

from .activation import ACTIVATIONS, Gelu
from .linear import Linear
from .norm import LayerNorm

Rows: TypeAlias = tuple[Tensor, ...]
Parts: TypeAlias = Generator[None, None, Tensor]
"""Work that may be interrupted where it yields; it returns its result."""
PART = 1 << 30
"""Products of two numbers between two places where an encoder may be interrupted, about."""


PATCHES = 4096
"""Of an image for which the memory plan has room: 896 x 896 pixels of 14 x 14."""


def in_parts(
    function: Callable[..., Rows], given: Sequence[Tensor], weights: nn.Module
) -> Generator[None, None, Rows]:
    """function(*given), some rows at a time. function: (rows, ...), ... -> (rows, ...), ..., each
    row for itself. weights: the matrices that it multiplies each row with, about."""
    matrices = [each.weight for each in weights.modules() if isinstance(each, Linear)]
    size = sum(matrix.shape[0] * matrix.shape[1] for matrix in matrices)
    found: list[Rows] = []
    for rows in zip(*(each.split(max(16, PART // max(size, 1) // 16 * 16)) for each in given),
                    strict=True):  # fmt: skip
        if found:
            yield None
        found.append(function(*rows))
    return found[0] if len(found) == 1 else tuple(map(torch.cat, zip(*found, strict=True)))


def at_once(parts: Parts) -> Tensor:
    """The result of work that is not interrupted, (rows, ...)."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            out: Tensor = end.value
            return out


class VisionConfig(ModelConfig):
    """The fields of `vision_config` of SigLIP and its like, with SigLIP's defaults."""

    hidden_size: int = Field(default=768, gt=0, le=2**16, strict=True)
    intermediate_size: int = Field(default=3072, gt=0, le=2**18, strict=True)
    num_hidden_layers: int = Field(default=12, gt=0, le=1024, strict=True)
    num_attention_heads: int = Field(default=12, gt=0, le=2**10, strict=True)
    num_channels: int = Field(default=3, ge=3, le=3, strict=True)
    image_size: int = Field(default=224, gt=0, le=2**14, strict=True)
    patch_size: int = Field(default=16, gt=0, le=2**10, strict=True)
    hidden_act: Gelu | Literal["quick_gelu"] = "gelu_pytorch_tanh"
    layer_norm_eps: float = Field(default=1e-6, gt=0, le=1)

    @property
    def side(self) -> int:
        """Patches in a row of a square picture."""
        return self.image_size // self.patch_size

    @model_validator(mode="after")
    def _divides(self) -> VisionConfig:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                f"{self.num_attention_heads}"
            )
        if self.image_size < self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is less than patch_size {self.patch_size}"
            )
        return self


def patches_of(pixels: Tensor, size: int) -> Tensor:
    """pixels: (3, height, width) -> (patches, 3 * size²), squares of `size`, row by row."""
    patches = pixels.unfold(1, size, size).unfold(2, size, size)
    rows: Tensor = patches.permute(1, 2, 0, 3, 4).flatten(2).flatten(0, 1)
    return rows


def joined(x: Tensor, rows: int, scale: int) -> Tensor:
    """Squares of scale x scale patches in one row each, in it row by row: x (patches, hidden) of
    `rows` rows of patches -> (patches / scale², hidden * scale²)."""
    squares = x.unflatten(0, (rows // scale, scale, -1, scale)).transpose(1, 2)
    out: Tensor = squares.flatten(2).flatten(0, 1)
    return out


class Patches(nn.Module):
    """The projection of patches: a convolution whose stride is its size, (patches, channels * size
    * size) -> (patches, hidden). Tensors: weight (hidden, channels, size, size), bias (hidden)."""

    def __init__(self, hidden: int, *size: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(hidden, *size), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(hidden), requires_grad=False) if bias else None
        self.kernel: Callable[[Tensor, Layout], Tensor] = reference.linear

    def forward(self, patches: Tensor) -> Tensor:
        out = self.kernel(patches.to(self.weight.dtype), Dense(self.weight.flatten(1)))
        return out if self.bias is None else out + self.bias


class Positions(nn.Module):
    """A learned vector of each place: weight (places, hidden)."""

    def __init__(self, places: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(places, hidden), requires_grad=False)


def packed_attention(q: Tensor, k: Tensor, v: Tensor, lengths: Sequence[int]) -> Tensor:
    """Full attention within each of several pictures, one after the other in the rows: q, k, v
    (rows, heads, d) -> (rows, heads * d). lengths: rows of each."""
    parts = [
        F.scaled_dot_product_attention(*(each.transpose(0, 1)[None] for each in parted))[0]
        for parted in zip(*(each.split(list(lengths)) for each in (q, k, v)), strict=True)
    ]
    return torch.cat(parts, 1).transpose(0, 1).flatten(1)


class PackedAttention(nn.Module):
    """`packed_attention` of q, k and v, (rows, heads, d) each, by a backend's kernel where it has
    one. It has no tensors."""

    kernel: Callable[..., Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.kernel = packed_attention

    def forward(self, q: Tensor, k: Tensor, v: Tensor, lengths: Sequence[int]) -> Tensor:
        return self.kernel(q, k, v, lengths)

    def parts(self, q: Tensor, k: Tensor, v: Tensor, lengths: Sequence[int]) -> Parts:
        """The same, some heads at a time."""
        each = 2 * sum(length**2 for length in lengths) * q.shape[2]
        heads = max(1, PART // max(each, 1))
        found: list[Tensor] = []
        for some in zip(*(part.split(heads, 1) for part in (q, k, v)), strict=True):
            if found:
                yield None
            found.append(self.kernel(*some, lengths))
        return found[0] if len(found) == 1 else torch.cat(found, 1)


def turned(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """x: (patches, heads, width), its first half rotated with its second, in float32. angles: cos
    and sin (patches, 1, width / 2)."""
    cos, sin = angles
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class EncoderLayer(nn.Module):
    """A layer of an encoder in three pieces, so that it may be interrupted and backends can compile
    what it does with each row: `begin`, `mix`, `end`."""

    by_rows: ClassVar[tuple[str, ...]] = ("begin", "end")
    """Methods that compute each row by itself, (rows, ...), ... -> (rows, ...), or several of
    these: a backend may put others in their places."""
    heads: int

    def begin(self, x: Tensor) -> tuple[Tensor, ...]:
        """(rows, hidden) -> queries, keys and values of all heads, (rows, width) each."""
        raise NotImplementedError

    def mix(self, q: Tensor, k: Tensor, v: Tensor, *told: Any) -> Parts:
        """(rows, heads, d) each -> (rows, heads * d). told: what `parts` was."""
        raise NotImplementedError

    def end(self, x: Tensor, mixed: Tensor) -> Tensor:
        """x: (rows, hidden), mixed: what `mix` gave -> (rows, hidden)."""
        raise NotImplementedError

    def forward(self, x: Tensor, *told: Any) -> Tensor:
        """(rows, hidden) -> the same."""
        return at_once(self.parts(x, *told))

    def parts(self, x: Tensor, *told: Any) -> Parts:
        """The same, with places where it may be interrupted."""
        projected = yield from in_parts(self.begin, [x], self)
        q, k, v = (each.unflatten(-1, (self.heads, -1)) for each in projected)
        yield None
        mixed = yield from self.mix(q, k, v, *told)
        yield None
        (out,) = yield from in_parts(lambda *rows: (self.end(*rows),), [x, mixed], self)
        return out


def encoding_bytes(model: nn.Module) -> int:
    """What an encoder takes beside its weights while it encodes an image of PATCHES, about: four
    vectors of each that are as wide as its widest; 0 for a model without one. Of another encoder it
    is what its attribute of this name says."""
    told = [getattr(module, "encoding_bytes", 0) for module in model.modules()]
    layers = [module for module in model.modules() if isinstance(module, EncoderLayer)]
    widest = max(
        (each.weight.shape[1] for layer in layers for each in layer.modules()
         if isinstance(each, Linear)),
        default=0,
    )  # fmt: skip
    return max(4 * 4 * widest * PATCHES, *told)


class VisionAttention(nn.Module):
    """The matrices of full attention of patches. Tensors: q_proj, k_proj, v_proj, out_proj (hidden,
    hidden), with biases."""

    def __init__(self, cfg: VisionConfig) -> None:
        super().__init__()
        self.q_proj = Linear(cfg.hidden_size, cfg.hidden_size, bias=True)
        self.k_proj = Linear(cfg.hidden_size, cfg.hidden_size, bias=True)
        self.v_proj = Linear(cfg.hidden_size, cfg.hidden_size, bias=True)
        self.out_proj = Linear(cfg.hidden_size, cfg.hidden_size, bias=True)
        self.mix = PackedAttention()

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """(patches, hidden) -> queries, keys and values, (patches, hidden) each."""
        return self.q_proj(x), self.k_proj(x), self.v_proj(x)


class VisionMLP(nn.Module):
    """fc2(act(fc1(x))), (patches, hidden) -> (patches, hidden). wide: rows of fc1. act: its name in
    configurations."""

    def __init__(self, hidden: int, wide: int, act: str) -> None:
        super().__init__()
        self.act = ACTIVATIONS[act]
        self.fc1 = Linear(hidden, wide, bias=True)
        self.fc2 = Linear(wide, hidden, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.act(self.fc1(x)))
        return out


class VisionLayer(EncoderLayer):
    """x + attention(norm(x)), then x + mlp(norm(x)). Tensors: layer_norm1, self_attn, layer_norm2,
    mlp."""

    def __init__(self, cfg: VisionConfig) -> None:
        super().__init__()
        self.layer_norm1 = LayerNorm(cfg.hidden_size, cfg.layer_norm_eps)
        self.self_attn = VisionAttention(cfg)
        self.heads = cfg.num_attention_heads
        self.layer_norm2 = LayerNorm(cfg.hidden_size, cfg.layer_norm_eps)
        self.mlp = VisionMLP(cfg.hidden_size, cfg.intermediate_size, cfg.hidden_act)

    def begin(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.self_attn.project(self.layer_norm1(x))

    def end(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.self_attn.out_proj(mixed)
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out

    def mix(self, q: Tensor, k: Tensor, v: Tensor, lengths: Sequence[int]) -> Parts:
        return self.self_attn.mix.parts(q, k, v, lengths)


class VisionEmbeddings(nn.Module):
    """Patches of square pictures with their positions. Tensors: patch_embedding,
    position_embedding (patches, hidden)."""

    def __init__(self, cfg: VisionConfig) -> None:
        super().__init__()
        size = cfg.patch_size
        self.size = size
        self.patch_embedding = Patches(cfg.hidden_size, cfg.num_channels, size, size)
        self.position_embedding = Positions(cfg.side**2, cfg.hidden_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (3, side, side) -> (patches, hidden)."""
        rows = self.patch_embedding(patches_of(pixels, self.size))
        out: Tensor = rows + self.position_embedding.weight
        return out


class VisionLayers(nn.Module):
    """The layers of an encoder, where its tensors are called layers.N."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers: Any = nn.ModuleList(layers)


class SiglipTower(nn.Module):
    """SigLIP's encoder without its pooling head (Zhai et al. 2023), for one square picture.
    Tensors: embeddings, encoder.layers.N, post_layernorm."""

    def __init__(self, cfg: VisionConfig) -> None:
        super().__init__()
        self.embeddings = VisionEmbeddings(cfg)
        self.encoder = VisionLayers(VisionLayer(cfg) for _ in range(cfg.num_hidden_layers))
        self.post_layernorm = LayerNorm(cfg.hidden_size, cfg.layer_norm_eps)

    def steps(self, pixels: Tensor) -> Iterator[Tensor | None]:
        """pixels: (3, side, side) -> None where it may be interrupted, last (patches, hidden)."""
        x: Tensor = self.embeddings(pixels)
        for layer in self.encoder.layers:
            x = yield from layer.parts(x, [len(x)])
            yield None
        yield self.post_layernorm(x)
