"""Gemma 1 and 2.

Token vectors are scaled by sqrt(hidden_size), and norms multiply with 1 + weight, which GGUF files
have added already. Gemma 2 normalizes behind each half too, caps scores and logits by tanh, and
lets every second layer see a window only.
"""

import math
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor
from tramontane.blocks import (
    ACTIVATIONS,
    Attention,
    CausalLM,
    GatedMLP,
    LayerOf,
    PreNormLayer,
    SandwichNormLayer,
    rope_for,
)
from tramontane.checkpoint.rules import Rename, Rule, Shift, Skip
from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch

TANH_NAME = "gelu_pytorch_tanh"
TANH = ACTIVATIONS[TANH_NAME]


class GemmaConfig(DecoderConfig):
    # "gelu" in the first checkpoints meant the approximation all the same
    hidden_act: Literal["gelu", "gelu_pytorch_tanh"] = "gelu_pytorch_tanh"
    attention_bias: Literal[False] = False
    use_bidirectional_attention: Literal[False] = False
    tie_word_embeddings: bool = True
    absent = MappingProxyType({"max_position_embeddings": 8192})


class Gemma2Config(GemmaConfig):
    hidden_act: Literal["gelu_pytorch_tanh"] = "gelu_pytorch_tanh"
    query_pre_attn_scalar: float = Field(default=256.0, gt=0)
    attn_logit_softcapping: float | None = Field(default=50.0, ge=0)
    final_logit_softcapping: float | None = Field(default=30.0, ge=0)
    sliding_window: int = Field(default=4096, gt=0)
    sliding_window_pattern: int = Field(default=2, gt=0)
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...] | None = None

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        # of the two words, "hidden_act" is not looked at where there is the other
        values["hidden_act"] = values.get("hidden_activation", values.get("hidden_act", TANH_NAME))

    def window(self, index: int) -> int | None:
        """How many tokens back the layer sees; None: all."""
        if self.layer_types is not None:
            slides = self.layer_types[index] == "sliding_attention"
        else:
            slides = (index + 1) % self.sliding_window_pattern != 0
        return self.sliding_window if slides else None


def gemma_layer(cfg: GemmaConfig, index: int) -> PreNormLayer:
    return PreNormLayer(cfg, Attention(cfg, index, rope=rope_for(cfg)), GatedMLP(cfg, act=TANH))


def gemma2_layer(cfg: Gemma2Config, index: int) -> SandwichNormLayer:
    scale, window = cfg.query_pre_attn_scalar**-0.5, cfg.window(index)
    attention = Attention(cfg, index, rope=rope_for(cfg), scale=scale, window=window)
    attention.softcap = cfg.attn_logit_softcapping or None
    return SandwichNormLayer(cfg, attention, GatedMLP(cfg, act=TANH))


class Gemma(CausalLM):
    Layer: ClassVar[LayerOf] = staticmethod(gemma_layer)

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        return super().embed(tokens, batch) * math.sqrt(self.cfg.hidden_size)


class Gemma2(Gemma):
    Layer = staticmethod(gemma2_layer)

    def logits(self, x: Tensor) -> Tensor:
        return softcapped(super().logits(x), self.cfg.final_logit_softcapping)  # type: ignore[attr-defined]


def softcapped(logits: Tensor, cap: float | None) -> Tensor:
    """cap * tanh(logits / cap), of any shape; None or 0: no cap."""
    return logits if not cap else (logits / cap).tanh() * cap


ONE_MORE: list[Rule] = [Skip("*.rotary_emb"), Shift("*norm", 1.0)]
WEIGHTS = {"hf": ONE_MORE}
SANDWICH_WEIGHTS: dict[str, list[Rule]] = {
    "hf": ONE_MORE,
    "gguf": [
        Rename("*.post_attention_layernorm", "*.pre_feedforward_layernorm"),
        Rename("blk.*.post_attention_norm", "model.layers.*.post_attention_layernorm"),
        Rename("blk.*.post_ffw_norm", "model.layers.*.post_feedforward_layernorm"),
    ],
}
