"""OPT: learned positions, biases everywhere, a feed-forward half without a gate.

The 350M has norms behind its halves' residuals, none at its end, and shorter vectors of tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import AliasChoices, Field
from torch import Tensor, nn
from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    Embedding,
    Gelu,
    LayerOf,
    Linear,
    PositionedLM,
    PreNormLayer,
    layer_norm,
)
from tramontane.checkpoint.rules import Kept, Rename, Rule
from tramontane.config import LayerNormConfig
from tramontane.engine.batch import Batch
from tramontane.layouts import Layout

BEFORE = 2
"""Rows of positions that no token has."""


class OptConfig(LayerNormConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "ffn_dim": "intermediate_size",
        "activation_function": "hidden_act",
    }
    hidden_act: Gelu | Literal["relu"] = "relu"
    do_layer_norm_before: bool = True
    remove_final_layer_norm: bool = Field(
        default=False, validation_alias=AliasChoices("_remove_final_layer_norm")
    )
    word_embed_proj_dim: int | None = Field(default=None, gt=0, le=2**20)
    """Numbers in a token's vector; None: hidden_size."""
    enable_bias: bool = True
    layer_norm_elementwise_affine: Literal[True] = True
    tie_word_embeddings: bool = True

    @property
    def rotary(self) -> bool:
        return False


class NormedSums(PreNormLayer):
    """norm(x + attention(x)), then the same with mlp."""

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = self.input_layernorm(x + self.self_attn(x, batch))
        out: Tensor = self.post_attention_layernorm(x + self.mlp(x))
        return out


def layer(cfg: OptConfig, index: int) -> PreNormLayer:
    bias = cfg.enable_bias
    attention = Attention(cfg, index, rope=None, bias=bias, out_bias=bias)
    mlp = MLP(cfg, act=ACTIVATIONS[cfg.hidden_act], bias=bias)
    wiring = PreNormLayer if cfg.do_layer_norm_before else NormedSums
    return wiring(cfg, attention, mlp, norm=layer_norm)


def last_norm(cfg: OptConfig) -> nn.Module:
    normed = cfg.do_layer_norm_before and not cfg.remove_final_layer_norm
    return layer_norm(cfg) if normed else nn.Identity()


class Opt(PositionedLM):
    Layer: ClassVar[LayerOf] = staticmethod(layer)
    Norm = staticmethod(last_norm)

    def __init__(self, cfg: OptConfig) -> None:
        super().__init__(cfg)
        hidden, short = cfg.hidden_size, cfg.word_embed_proj_dim or cfg.hidden_size
        self.project_in = self.project_out = None
        if short != hidden:
            self.model.embed_tokens = Embedding(cfg.vocab_size, short)
            self.lm_head = Linear(short, cfg.vocab_size)
            self.project_in = Linear(short, hidden)
            self.project_out = Linear(hidden, short)

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        if self.project_in is None:
            return super().embed(tokens, batch)
        x: Tensor = self.project_in(self.model.embed_tokens(tokens))
        return x + self.positions(batch.positions)  # type: ignore[no-any-return]

    def logits(self, x: Tensor) -> Tensor:
        return super().logits(x if self.project_out is None else self.project_out(x))


@dataclass(frozen=True)
class FirstRowsOut(Kept):
    """Leaves the first rows of a matrix out."""

    pattern: str
    count: int

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        return layout.rows(slice(self.count, layout.shape[0]))

    def backwards(
        self, shapes: Mapping[str, tuple[int, ...]], model: nn.Module
    ) -> dict[str, tuple[int, ...]]:
        return {
            name: (shape[0] + self.count, *shape[1:]) if name == f"{self.pattern}.weight" else shape
            for name, shape in shapes.items()
        }


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Rename("decoder.*", "model.decoder.*"),
        Rename("model.decoder.embed_positions", "positions"),
        FirstRowsOut("positions", BEFORE),
        Rename("model.decoder.project_in", "project_in"),
        Rename("model.decoder.project_out", "project_out"),
        Rename("model.decoder.final_layer_norm", "model.norm"),
        Rename("model.decoder.*", "model.*"),
        Rename("*.self_attn.out_proj", "*.self_attn.o_proj"),
        Rename("*.self_attn_layer_norm", "*.input_layernorm"),
        Rename("model.layers.*.final_layer_norm", "model.layers.*.post_attention_layernorm"),
        Rename("*.fc1", "*.mlp.up_proj"),
        Rename("*.fc2", "*.mlp.down_proj"),
    ],
}
