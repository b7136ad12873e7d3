"""The plain decoder with what some families' attention or feed-forward half has besides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from tramontane.blocks import (
    Attention,
    CausalLM,
    ClampedSwiGLU,
    Experts,
    GatedMLP,
    PreNormLayer,
    Router,
    SparseMoE,
    alibi_slopes,
    rope_for,
)
from tramontane.blocks.causal_lm import LayerOf
from tramontane.config import DecoderConfig, of_layer

from .tiny_model import TINY

WINDOW, CHUNK, SOFTCAP, EXPERTS, LIMIT = 10, 12, 2.0, 4, 0.8


def _layer_with(
    softcap: float | None = None, *, sinks: bool = False, chunk: int | None = None, **options: Any
) -> LayerOf:
    def layer(cfg: DecoderConfig, index: int) -> PreNormLayer:
        attention = Attention(cfg, index, **{"rope": rope_for(cfg), **options})
        attention.softcap, attention.chunk = softcap, chunk
        if sinks:
            heads = of_layer(cfg.num_attention_heads, index)
            attention.sinks = nn.Parameter(torch.empty(heads), requires_grad=False)
        return PreNormLayer(cfg, attention, GatedMLP(cfg))

    return layer


def _layer_of_experts(*, bias: bool = False, **options: Any) -> LayerOf:
    def layer(cfg: DecoderConfig, index: int) -> PreNormLayer:
        gate = Router(cfg.hidden_size, EXPERTS, 2, normalize=True, bias=bias)
        experts = Experts(cfg, EXPERTS, cfg.intermediate_size // EXPERTS, bias=bias, **options)
        attention = Attention(cfg, index, rope=rope_for(cfg))
        return PreNormLayer(cfg, attention, SparseMoE(gate, experts))

    return layer


class Windowed(CausalLM):
    """Each token sees WINDOW tokens."""

    Layer = staticmethod(_layer_with(window=WINDOW))


class Chunked(CausalLM):
    """Each token sees the tokens of its own CHUNK."""

    Layer = staticmethod(_layer_with(chunk=CHUNK))


class Alibi(CausalLM):
    """Scores fall with distance; nothing is rotated."""

    Layer = staticmethod(
        _layer_with(rope=None, alibi=alibi_slopes(TINY.example["num_attention_heads"]))
    )


class Softcapped(CausalLM):
    """Scores are capped."""

    Layer = staticmethod(_layer_with(softcap=SOFTCAP))


class WithSinks(CausalLM):
    """Part of each head's attention goes to no token."""

    Layer = staticmethod(_layer_with(sinks=True))


class OfExperts(CausalLM):
    """Two of EXPERTS feed-forward halves for each token."""

    Layer = staticmethod(_layer_of_experts())


class OfBiasedExperts(CausalLM):
    """The same with biases, and gates that are clamped."""

    Layer = staticmethod(_layer_of_experts(bias=True, glu=ClampedSwiGLU(LIMIT, 1.702, 1.0)))


VARIANTS = {
    "plain": TINY,
    **{
        name: replace(TINY, name=name, model=f"{__name__}:{model.__name__}")
        for name, model in {
            "window": Windowed, "chunk": Chunked, "alibi": Alibi,
            "softcap": Softcapped, "sinks": WithSinks,
            "experts": OfExperts, "biased experts": OfBiasedExperts,
        }.items()
    },
}  # fmt: skip
"""Architectures by what a kernel has to do for them."""
