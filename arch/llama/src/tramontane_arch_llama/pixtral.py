"""Pixtral's encoder (Agrawal et al. 2024): patches of any number, rotated by row and column, in
layers like Llama's."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import ACTIVATIONS, GatedMLP, Gelu, Linear, RMSNorm
from tramontane.blocks.vision import (
    EncoderLayer,
    PackedAttention,
    Parts,
    Patches,
    VisionLayers,
    patches_of,
    turned,
)
from tramontane.config.decoder import ModelConfig

EPS = 1e-5


class PixtralConfig(ModelConfig):
    """The fields of `vision_config`."""

    model_type: Literal["pixtral"] = "pixtral"
    hidden_size: int = Field(default=1024, gt=0, le=2**16, strict=True)
    intermediate_size: int = Field(default=4096, gt=0, le=2**18, strict=True)
    num_hidden_layers: int = Field(default=24, gt=0, le=1024, strict=True)
    num_attention_heads: int = Field(default=16, gt=0, le=2**10, strict=True)
    head_dim: int | None = None
    num_channels: int = Field(default=3, ge=3, le=3, strict=True)
    patch_size: int = Field(default=16, gt=0, le=2**10, strict=True)
    hidden_act: Gelu | Literal["silu"] = "gelu"
    rope_theta: float = Field(default=10_000.0, gt=0)
    rope_type: Literal["axial", "default"] = "axial"

    @model_validator(mode="before")
    @classmethod
    def _rope(cls, values: Any) -> Any:
        """Newer configurations have settings of the rotation in a mapping of their own."""
        if isinstance(values, Mapping) and isinstance(values.get("rope_parameters"), Mapping):
            return {**values, **values["rope_parameters"]}
        return values

    @property
    def width(self) -> int:
        """Of a head."""
        return self.hidden_size // self.num_attention_heads

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.hidden_size % self.num_attention_heads or self.width % 4:
            raise ValueError(
                f"hidden_size {self.hidden_size} does not give num_attention_heads "
                f"{self.num_attention_heads} heads whose size is a multiple of 4"
            )
        if self.head_dim not in (None, self.width):
            raise ValueError(f"head_dim {self.head_dim} is not {self.width}, a head's share")
        return self


def angles(cfg: PixtralConfig, rows: int, columns: int, device: torch.device) -> tuple[Tensor, ...]:
    """cos and sin (patches, 1, width / 2): of the frequencies the first, third ... turn by the row,
    the others by the column."""
    steps = torch.arange(0, cfg.width, 2, dtype=torch.float32, device=device) / cfg.width
    frequencies = 1.0 / cfg.rope_theta**steps
    down, across = (torch.arange(n, device=device).float() for n in (rows, columns))
    by_row = (down[:, None] * frequencies[0::2])[:, None].expand(-1, columns, -1)
    by_column = (across[:, None] * frequencies[1::2])[None].expand(rows, -1, -1)
    angle = torch.cat((by_row, by_column), -1).flatten(0, 1)[:, None]
    return angle.cos(), angle.sin()


class TurnedAttention(nn.Module):
    """Full attention of patches that are rotated, (patches, hidden) -> (patches, hidden). Tensors:
    q_proj, k_proj, v_proj, o_proj (hidden, hidden)."""

    rope = None

    def __init__(self, hidden: int, heads: int, *, bias: bool = False) -> None:
        super().__init__()
        self.heads, self.d_head = heads, hidden // heads
        self.q_proj = Linear(hidden, hidden, bias=bias)
        self.k_proj = Linear(hidden, hidden, bias=bias)
        self.v_proj = Linear(hidden, hidden, bias=bias)
        self.o_proj = Linear(hidden, hidden, bias=bias)
        self.mix = PackedAttention()

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1))
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = self.mix(turned(q, angles), turned(k, angles), v, [len(x)])
        out: Tensor = self.o_proj(mixed)
        return out


class PixtralLayer(EncoderLayer):
    """Tensors: attention_norm, attention, ffn_norm, feed_forward."""

    def __init__(self, cfg: PixtralConfig) -> None:
        super().__init__()
        self.heads = cfg.num_attention_heads
        self.attention_norm = RMSNorm(cfg.hidden_size, EPS)
        self.attention = TurnedAttention(cfg.hidden_size, cfg.num_attention_heads)
        self.ffn_norm = RMSNorm(cfg.hidden_size, EPS)
        act = ACTIVATIONS[cfg.hidden_act]
        self.feed_forward = GatedMLP(cfg, act=act)  # type: ignore[arg-type]

    def begin(self, x: Tensor) -> tuple[Tensor, ...]:
        x, matrices = self.attention_norm(x), self.attention
        return matrices.q_proj(x), matrices.k_proj(x), matrices.v_proj(x)

    def mix(self, q: Tensor, k: Tensor, v: Tensor, *told: Any) -> Parts:
        (angles,) = told
        matrices = self.attention
        return matrices.mix.parts(turned(q, angles), turned(k, angles), v, [len(q)])

    def end(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.attention.o_proj(mixed)
        out: Tensor = x + self.feed_forward(self.ffn_norm(x))
        return out


class PixtralTower(nn.Module):
    """count: layers that are read; those behind them are not built. Tensors: patch_conv, ln_pre,
    transformer.layers.N."""

    def __init__(self, cfg: PixtralConfig, count: int) -> None:
        super().__init__()
        self.cfg, self.size = cfg, cfg.patch_size
        self.patch_conv = Patches(
            cfg.hidden_size, cfg.num_channels, self.size, self.size, bias=False
        )
        self.ln_pre = RMSNorm(cfg.hidden_size, EPS)
        self.transformer = VisionLayers(PixtralLayer(cfg) for _ in range(count))

    def steps(self, pixels: Tensor) -> Iterator[Tensor | None]:
        """pixels: (3, height, width), multiples of a patch -> None after each layer, and last
        (patches, hidden)."""
        rows, columns = (side // self.size for side in pixels.shape[1:])
        x = self.ln_pre(self.patch_conv(patches_of(pixels, self.size)))
        turns = angles(self.cfg, rows, columns, x.device)
        for layer in self.transformer.layers:
            x = yield from layer.parts(x, turns)
            yield None
        yield x
