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
from tramontane.layouts import Affine, Codebook, Dense, Layout, pack
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


def _codebook(group: int, weight: torch.Tensor) -> Codebook:
    """Codes of 16 numbers, closer together near zero."""
    table = torch.linspace(-1, 1, 16)
    table = table * table.abs()
    grouped = weight.unflatten(1, (-1, group))
    scale = grouped.abs().amax(-1)
    codes = (grouped / scale[..., None])[..., None].sub(table).abs().argmin(-1)
    return Codebook(4, group, pack(codes.flatten(1), 4), table, scale.half())


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
    "codebook4": lambda weight: _codebook(32, weight),
}
"""Layouts that checkpoints have, made of a plain matrix (rows, columns)."""
