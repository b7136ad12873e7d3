"""A plain decoder of no family's, for checks that need a model and must not need a plugin."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tramontane.blocks import (
    Attention,
    CausalLM,
    GatedMLP,
    Linear,
    PreNormLayer,
    StackedLinear,
    rope_for,
)
from tramontane.config import DecoderConfig
from tramontane.layouts import Affine, Codebook, Dense, Layout, Permuted, RowGroups, pack
from tramontane.plugin import Architecture

from .random_model import random_model


class TinyLayer(PreNormLayer):
    def __init__(self, cfg: DecoderConfig, index: int) -> None:
        attention = Attention(cfg, index, rope=rope_for(cfg), bias=index == 0)
        super().__init__(cfg, attention, GatedMLP(cfg))


class Tiny(CausalLM):
    Layer = TinyLayer


TINY = Architecture(
    name="Tiny",
    config="tramontane.config:DecoderConfig",
    model="tramontane.testing.tiny_model:Tiny",
    example={
        "vocab_size": 320,
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
    },
)


def tiny_model(layout: str, offer: Architecture = TINY) -> CausalLM:
    """With random weights, the matrices of linear layers and experts in one of LAYOUTS."""
    model = random_model(offer)
    for module in model.modules():
        if isinstance(module, (Linear, StackedLinear)) and isinstance(module.weight, Dense):
            module.weight = LAYOUTS[layout](module.weight.data)
    return model


def _affine(bits: int, group: int, weight: torch.Tensor) -> Affine:
    """One scale per group, codes around a zero in the middle."""
    grouped = weight.unflatten(1, (-1, group))
    zero = 1 << (bits - 1)
    scale = grouped.abs().amax(-1) / (zero - 1)
    codes = (grouped / scale[..., None]).round().add(zero).clamp(0, 2 * zero - 1)
    return Affine(bits, group, pack(codes.flatten(1), bits), scale.half(), zero=zero)


def _with_minimum(bits: int, group: int, weight: torch.Tensor) -> Affine:
    """One scale and one minimum per group, codes from 0."""
    grouped = weight.unflatten(1, (-1, group))
    minimum = grouped.amin(-1).half()
    scale = ((grouped.amax(-1) - minimum.float()) / ((1 << bits) - 1)).half()
    codes = ((grouped - minimum[..., None]) / scale[..., None]).round().clamp(0, (1 << bits) - 1)
    return Affine(bits, group, pack(codes.flatten(1), bits), scale, minimum=minimum)


def _zeros(weight: torch.Tensor, dtype: torch.dtype) -> Affine:
    """Four bits, a scale and a zero per group: codes from the group's least number up."""
    grouped = weight.unflatten(1, (-1, 64))
    low, high = grouped.amin(-1).clamp(max=0), grouped.amax(-1).clamp(min=0)
    scale = ((high - low) / 15).half()
    zero = -low / scale.float()
    zero = (zero.round() if dtype == torch.uint8 else zero).to(dtype)
    codes = (grouped / scale[..., None] + zero.float()[..., None]).round().clamp(0, 15)
    return Affine(4, 64, pack(codes.flatten(1), 4), scale, zero=zero)


def _permuted(weight: torch.Tensor) -> Permuted:
    """Columns in an order that is the same for all matrices of so many, as those of one input
    have."""
    random = torch.Generator().manual_seed(weight.shape[1])
    order = torch.randperm(weight.shape[1], generator=random)
    return Permuted(_zeros(weight[:, order], torch.uint8), order.int()[None])


def _row_groups(weight: torch.Tensor) -> RowGroups:
    """Four bits, a scale and a zero for every eighth row of a column."""
    groups = min(8, weight.shape[0])
    group_of = torch.arange(weight.shape[0], dtype=torch.int32) % groups
    each = [weight[group_of == group] for group in range(groups)]
    low = torch.stack([rows.amin(0).clamp(max=0) for rows in each])
    high = torch.stack([rows.amax(0).clamp(min=0) for rows in each])
    scale = ((high - low) / 15).clamp(min=1e-6).half()
    zero = (-low / scale.float()).half()
    own = group_of.long()
    codes = (weight / scale.float()[own] + zero.float()[own]).round().clamp(0, 15)
    return RowGroups(4, pack(codes, 4), scale, zero, group_of)


def _codebook(
    weight: torch.Tensor, group: int, table: torch.Tensor, dtype: torch.dtype = torch.float16
) -> Codebook:
    """The table's nearest numbers, scaled by the group's largest; scales of `dtype`, those of 8
    bits under one float32 of a row."""
    grouped = weight.unflatten(1, (-1, group))
    scale, above = grouped.abs().amax(-1) / table.abs().max(), None
    if dtype.itemsize == 1:
        above = scale.amax(1, keepdim=True) / 256
        scale = scale / above
    stored = scale.to(dtype)
    used = stored.float() if above is None else stored.float() * above
    codes = (grouped / used[..., None])[..., None].sub(table).abs().argmin(-1)
    bits = len(table).bit_length() - 1
    return Codebook(bits, group, pack(codes.flatten(1), bits), table, stored, above)


SQUARES = torch.linspace(-1, 1, 16) * torch.linspace(-1, 1, 16).abs()
"""16 numbers, closer together near zero."""
FEW = torch.tensor([-43.0, -25.0, -8.0, 0.0, 8.0, 25.0, 43.0, 60.0])
MANY = torch.arange(64).sub(31).float() / 8
FLOATS8 = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float()


def _float8(weight: torch.Tensor) -> Codebook:
    """8-bit floats, a scale per row."""
    scale = weight.abs().amax(1, keepdim=True) / 448
    codes = (weight / scale).to(torch.float8_e4m3fn).view(torch.uint8)
    return Codebook(8, weight.shape[1], (codes,), FLOATS8, scale)


def _two_level(weight: torch.Tensor) -> Affine:
    """Four bits, scales and minimums of 32 columns that are themselves scaled per 256."""
    grouped = weight.unflatten(1, (-1, 32))
    low, high = grouped.amin(-1).clamp(max=0), grouped.amax(-1)
    super_scale, super_minimum = (
        value.unflatten(1, (-1, 8)).abs().amax(-1).div(63) for value in ((high - low) / 15, low)
    )
    scale = ((high - low) / 15 / super_scale.repeat_interleave(8, 1)).round().clamp(1, 63)
    minimum = (-low / super_minimum.repeat_interleave(8, 1)).round().clamp(0, 63)
    step = (scale * super_scale.repeat_interleave(8, 1))[..., None]
    floor = (minimum * super_minimum.repeat_interleave(8, 1))[..., None]
    codes = ((grouped + floor) / step).round().clamp(0, 15)
    return Affine(
        4,
        32,
        pack(codes.flatten(1), 4),
        scale.to(torch.uint8),
        minimum=minimum.to(torch.uint8),
        super_scale=super_scale.half(),
        super_minimum=-super_minimum.half(),
    )


LAYOUTS: dict[str, Callable[[torch.Tensor], Layout]] = {
    "float32": Dense,
    "bfloat16": lambda weight: Dense(weight.bfloat16()),
    "float16": lambda weight: Dense(weight.half()),
    "affine8": lambda weight: _affine(8, 32, weight),
    "affine4": lambda weight: _affine(4, 32, weight),
    "affine6": lambda weight: _affine(6, 16, weight),
    "affine5-minimum": lambda weight: _with_minimum(5, 32, weight),
    "affine4-two-level": _two_level,
    "affine4-zeros": lambda weight: _zeros(weight, torch.uint8),
    "affine4-fractions": lambda weight: _zeros(weight, torch.float16),
    "affine4-permuted": _permuted,
    "affine4-row-groups": _row_groups,
    "codebook3": lambda weight: _codebook(weight, 32, FEW),
    "codebook4": lambda weight: _codebook(weight, 32, SQUARES),
    "codebook4-float8-scales": lambda weight: _codebook(weight, 16, SQUARES, torch.float8_e4m3fn),
    "codebook6": lambda weight: _codebook(weight, 32, MANY),
    "float8": _float8,
}
"""Layouts that checkpoints have, made of a plain matrix (rows, columns)."""
