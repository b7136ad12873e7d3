"""XGLM (Lin et al. 2021): a decoder with biases everywhere and sines and cosines as positions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    Gelu,
    LayerOf,
    PositionedLM,
    PreNormLayer,
    layer_norm,
)
from tramontane.checkpoint.rules import Kept, Rename, Rule, Skip
from tramontane.config import LayerNormConfig
from tramontane.engine.batch import Batch
from tramontane.layouts import Dense, Layout

BEFORE = 2
"""Positions that no token has: the first token's is 2."""


class XglmConfig(LayerNormConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "d_model": "hidden_size",
        "ffn_dim": "intermediate_size",
        "num_layers": "num_hidden_layers",
        "attention_heads": "num_attention_heads",
        "activation_function": "hidden_act",
    }
    hidden_act: Gelu | Literal["relu"] = "gelu"
    scale_embedding: bool = True
    add_cross_attention: Literal[False] = False
    pad_token_id: int | None = 1
    """The position of this number is all zeros."""
    tie_word_embeddings: bool = True

    @property
    def rotary(self) -> bool:
        return False


def layer(cfg: XglmConfig, index: int) -> PreNormLayer:
    attention = Attention(cfg, index, rope=None, bias=True, out_bias=True)
    return PreNormLayer(cfg, attention, MLP(cfg, act=ACTIVATIONS[cfg.hidden_act]), norm=layer_norm)


class Xglm(PositionedLM):
    Layer: ClassVar[LayerOf] = staticmethod(layer)
    Norm = staticmethod(layer_norm)
    cfg: XglmConfig

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        scale = math.sqrt(self.cfg.hidden_size) if self.cfg.scale_embedding else 1.0
        x: Tensor = self.model.embed_tokens(tokens) * scale
        return x + self.positions(batch.positions)  # type: ignore[no-any-return]


def sinusoids(count: int, dim: int, empty: int | None) -> Tensor:
    """(count, dim) float32: sin and then cos of position * 10000^(-i / (dim / 2 - 1)), as in
    tensor2tensor, not as in the paper on attention. empty: the position that is zeros."""
    half = dim // 2
    rate = torch.exp(torch.arange(half).float() * -(math.log(10_000) / (half - 1)))
    angles = torch.arange(BEFORE, BEFORE + count).float()[:, None] * rate
    table = torch.zeros(count, dim)
    table[:, : 2 * half] = torch.cat((angles.sin(), angles.cos()), 1)
    if empty is not None and 0 <= empty - BEFORE < count:
        table[empty - BEFORE] = 0
    return table


@dataclass(frozen=True)
class Positions(Kept):
    """Beside the tokens' vectors, those of positions, which are computed, whatever is stored."""

    pattern: str = "model.embed_tokens"

    def paths(self, path: str) -> tuple[str, ...]:
        return path, "positions"

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        if path == self.pattern:
            return layout
        cfg = model.cfg
        assert isinstance(cfg, XglmConfig)
        table = sinusoids(cfg.max_position_embeddings, cfg.hidden_size, cfg.pad_token_id)
        return Dense(table)

    def backwards(
        self, shapes: Mapping[str, tuple[int, ...]], model: nn.Module
    ) -> dict[str, tuple[int, ...]]:
        return {name: shape for name, shape in shapes.items() if name != "positions.weight"}


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("model.embed_positions*"),
        Positions(),
        Rename("model.layer_norm", "model.norm"),
        Rename("*.self_attn.out_proj", "*.self_attn.o_proj"),
        Rename("*.self_attn_layer_norm", "*.input_layernorm"),
        Rename("*.final_layer_norm", "*.post_attention_layernorm"),
        Rename("*.fc1", "*.mlp.up_proj"),
        Rename("*.fc2", "*.mlp.down_proj"),
    ],
}
