"""Llama 4's encoder of images: square tiles, patches rotated by column and row, and squares of them
joined to one row each."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import LayerNorm, Linear
from tramontane.blocks.vision import VisionConfig, VisionLayers, VisionMLP, joined, patches_of

from .pixtral import TurnedAttention

EPS = 1e-5
"""Of its norms, whatever `norm_eps` says: transformers does not read it."""


class Llama4TowerConfig(VisionConfig):
    """The fields of `vision_config`. image_size: of a tile's side. vision_output_dim: columns of
    the rows that the language model's projection is given."""

    intermediate_size: int = Field(default=5632, gt=0, le=2**18, strict=True)
    num_hidden_layers: int = Field(default=34, gt=0, le=1024, strict=True)
    num_attention_heads: int = Field(default=16, gt=0, le=2**10, strict=True)
    image_size: int = Field(default=448, gt=0, le=2**14, strict=True)
    patch_size: int = Field(default=14, gt=0, le=2**10, strict=True)
    hidden_act: Literal["gelu"] = "gelu"
    pixel_shuffle_ratio: float = Field(default=0.5, gt=0, le=1)
    projector_input_dim: int = Field(default=4096, gt=0, le=2**18, strict=True)
    projector_output_dim: int = Field(default=4096, gt=0, le=2**18, strict=True)
    vision_output_dim: int = Field(default=7680, gt=0, le=2**18, strict=True)
    multi_modal_projector_bias: Literal[False] = False
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
    def scale(self) -> int:
        """Patches of a side of the squares that are joined."""
        return round(1 / self.pixel_shuffle_ratio)

    @property
    def rows(self) -> int:
        """Rows of a tile."""
        return (self.side // self.scale) ** 2

    @model_validator(mode="after")
    def _fits(self) -> Self:
        scale = self.scale
        if abs(scale * self.pixel_shuffle_ratio - 1) > 1e-6 or self.side % scale:
            raise ValueError(
                f"pixel_shuffle_ratio {self.pixel_shuffle_ratio} does not join {self.side} x "
                f"{self.side} patches evenly"
            )
        if self.hidden_size // self.num_attention_heads % 4:
            raise ValueError(
                f"hidden_size {self.hidden_size} does not give num_attention_heads "
                f"{self.num_attention_heads} heads whose size is a multiple of 4"
            )
        for name, value, wanted in (
            ("intermediate_size", self.intermediate_size, self.hidden_size * scale**2),
            ("projector_output_dim", self.projector_output_dim, self.projector_input_dim),
            ("vision_output_dim", self.vision_output_dim, self.projector_output_dim),
        ):
            if value != wanted:
                raise ValueError(f"{name} {value} is not {wanted}, which what is before it gives")
        return self


def angles(cfg: Llama4TowerConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos and sin (patches + 1, 1, d_head / 2): the first half of the frequencies turn by the
    column, the others by the row, both counted from 1; the class token is not turned."""
    half = cfg.hidden_size // cfg.num_attention_heads // 2
    steps = torch.arange(0, half, 2, dtype=torch.float32, device=device) / half
    frequencies = 1.0 / cfg.rope_theta**steps
    turns = torch.arange(1, cfg.side + 1, device=device)[:, None] * frequencies
    by_column, by_row = turns.repeat(cfg.side, 1), turns.repeat_interleave(cfg.side, 0)
    angle = F.pad(torch.cat((by_column, by_row), -1), (0, 0, 0, 1))[:, None]
    return angle.cos(), angle.sin()


class Unfold(nn.Module):
    """(patches, 3 * size²) -> (patches, hidden). Tensor: linear."""

    def __init__(self, cfg: Llama4TowerConfig) -> None:
        super().__init__()
        self.linear = Linear(cfg.num_channels * cfg.patch_size**2, cfg.hidden_size)


class Llama4TowerLayer(nn.Module):
    """Tensors: input_layernorm, self_attn, post_attention_layernorm, mlp."""

    def __init__(self, cfg: Llama4TowerConfig) -> None:
        super().__init__()
        hidden = cfg.hidden_size
        self.input_layernorm = LayerNorm(hidden, EPS)
        self.self_attn = TurnedAttention(hidden, cfg.num_attention_heads, bias=True)
        self.post_attention_layernorm = LayerNorm(hidden, EPS)
        self.mlp = VisionMLP(hidden, cfg.intermediate_size, cfg.hidden_act)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), angles)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class AdapterMLP(nn.Module):
    """gelu(fc2(gelu(fc1(x)))), without biases."""

    def __init__(self, cfg: Llama4TowerConfig) -> None:
        super().__init__()
        self.fc1 = Linear(cfg.intermediate_size, cfg.projector_input_dim)
        self.fc2 = Linear(cfg.projector_output_dim, cfg.projector_output_dim)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.fc2(F.gelu(self.fc1(x))))


class Adapter(nn.Module):
    """Tensor: mlp."""

    def __init__(self, cfg: Llama4TowerConfig) -> None:
        super().__init__()
        self.mlp = AdapterMLP(cfg)


class Llama4Tower(nn.Module):
    """The class token stands behind the patches. Tensors: patch_embedding.linear, class_embedding
    (hidden), positional_embedding_vlm (patches + 1, hidden), layernorm_pre, model.layers.N,
    layernorm_post, vision_adapter.mlp."""

    def __init__(self, cfg: Llama4TowerConfig) -> None:
        super().__init__()
        self.cfg, hidden = cfg, cfg.hidden_size
        self.patch_embedding = Unfold(cfg)
        self.class_embedding = nn.Parameter(torch.empty(hidden), requires_grad=False)
        places = torch.empty(cfg.side**2 + 1, hidden)
        self.positional_embedding_vlm = nn.Parameter(places, requires_grad=False)
        self.layernorm_pre = LayerNorm(hidden, EPS)
        self.model = VisionLayers(Llama4TowerLayer(cfg) for _ in range(cfg.num_hidden_layers))
        self.layernorm_post = LayerNorm(hidden, EPS)
        self.vision_adapter = Adapter(cfg)

    def steps(self, tile: Tensor) -> Iterator[Tensor | None]:
        """tile: (3, side, side) -> None after each layer, and last (rows, vision_output_dim)."""
        cfg, places = self.cfg, self.positional_embedding_vlm
        patches = self.patch_embedding.linear(patches_of(tile.to(places.dtype), cfg.patch_size))
        x = self.layernorm_pre(torch.cat((patches, self.class_embedding[None])) + places)
        turns = angles(cfg, x.device)
        for layer in self.model.layers:
            x = layer(x, turns)
            yield None
        x = joined(self.layernorm_post(x)[:-1], cfg.side, cfg.scale)
        yield self.vision_adapter.mlp(x)
