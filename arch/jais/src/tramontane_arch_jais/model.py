"""Jais (Sengupta et al. 2023): GPT-2's wiring with linear biases, a gated feed-forward half and the
scales of muP."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field
from torch import Tensor
from tramontane.blocks import (
    Attention,
    CausalLM,
    GatedMLP,
    LayerOf,
    PreNormLayer,
    alibi_slopes,
    layer_norm,
)
from tramontane.checkpoint.rules import Rename, Rule, Skip, Split, Transpose
from tramontane.config import FIRST_WORDS, LayerNormConfig
from tramontane.engine.batch import Batch


class JaisConfig(LayerNormConfig):
    spellings: ClassVar[Mapping[str, str]] = FIRST_WORDS
    hidden_act: Literal["swiglu"]
    position_embedding_type: Literal["alibi"] = "alibi"
    alibi_scaling: None = None
    max_alibi_bias: float = Field(default=8.0, gt=0)
    scale_attn_weights: Literal[True] = True
    scale_qk_dot_by_d: bool = False
    """Scores divided by d_head, not by its root."""
    scale_attn_by_inverse_layer_idx: Literal[False] = False
    reorder_and_upcast_attn: bool = False  # how the scores are computed, in the same way
    embeddings_scale: float = Field(
        default=1.0, validation_alias=AliasChoices("mup_embeddings_scale", "embeddings_scale")
    )
    width_scale: float = 1.0
    tie_word_embeddings: bool = True

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        values.setdefault("hidden_act", "swiglu")
        if isinstance(hidden := values.get("hidden_size"), int):
            values.setdefault("intermediate_size", 4 * hidden)
        alpha, width = values.get("mup_output_alpha"), values.get("mup_width_scale")
        if isinstance(alpha, int | float) and isinstance(width, int | float):
            values["width_scale"] = alpha * width

    @property
    def rotary(self) -> bool:
        return False


def layer(cfg: JaisConfig, index: int) -> PreNormLayer:
    slopes = alibi_slopes(cfg.num_attention_heads, cfg.max_alibi_bias)
    scale = 1 / cfg.head_dim if cfg.scale_qk_dot_by_d else None
    attention = Attention(
        cfg, index, rope=None, alibi=slopes, scale=scale, bias=True, out_bias=True
    )
    return PreNormLayer(cfg, attention, GatedMLP(cfg, bias=True), norm=layer_norm)


class Jais(CausalLM):
    Layer: ClassVar[LayerOf] = staticmethod(layer)
    Norm = staticmethod(layer_norm)
    cfg: JaisConfig

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        return super().embed(tokens, batch) * self.cfg.embeddings_scale

    def logits(self, x: Tensor) -> Tensor:
        return super().logits(x) * self.cfg.width_scale


QKV = Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"))
WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("transformer.h.*.attn.bias"),  # masks, not weights
        Skip("transformer.h.*.attn.masked_bias"),
        Skip("transformer.relative_pe*"),
        Rename("transformer.wte", "model.embed_tokens"),
        Rename("transformer.ln_f", "model.norm"),
        Rename("transformer.h.*.ln_1", "model.layers.*.input_layernorm"),
        Rename("transformer.h.*.ln_2", "model.layers.*.post_attention_layernorm"),
        Rename("transformer.h.*.attn.c_attn", "model.layers.*.self_attn.qkv_proj"),
        Rename("transformer.h.*.attn.c_proj", "model.layers.*.self_attn.o_proj"),
        Rename("transformer.h.*.mlp.c_fc", "model.layers.*.mlp.up_proj"),
        Rename("transformer.h.*.mlp.c_fc2", "model.layers.*.mlp.gate_proj"),
        Rename("transformer.h.*.mlp.c_proj", "model.layers.*.mlp.down_proj"),
        Transpose("model.layers.*_proj"),
        QKV,
    ],
    "gguf": [QKV],
}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The scales are in a file's matrices, and llama.cpp divides scores by d_head."""
    return {"scale_qk_dot_by_d": True}
