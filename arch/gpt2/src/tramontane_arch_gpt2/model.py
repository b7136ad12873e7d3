"""GPT-2: learned positions, and matrices stored the other way round."""

from typing import Any, Literal

from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    Gelu,
    PositionedLM,
    PreNormLayer,
    layer_norm,
)
from tramontane.checkpoint.rules import Rename, Skip, Split, Transpose
from tramontane.config import FIRST_WORDS, LayerNormConfig


class GPT2Config(LayerNormConfig):
    spellings = FIRST_WORDS
    hidden_act: Gelu | Literal["relu", "silu"] = "gelu_new"
    scale_attn_weights: Literal[True] = True
    scale_attn_by_inverse_layer_idx: Literal[False] = False
    add_cross_attention: Literal[False] = False
    tie_word_embeddings: bool = True

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if isinstance(hidden := values.get("hidden_size"), int):
            values.setdefault("intermediate_size", 4 * hidden)


def layer(cfg: GPT2Config, index: int) -> PreNormLayer:
    attention = Attention(cfg, index, rope=None, bias=True, out_bias=True)
    return PreNormLayer(cfg, attention, MLP(cfg, act=ACTIVATIONS[cfg.hidden_act]), norm=layer_norm)


class GPT2(PositionedLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(layer_norm)


QKV = Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"))
WEIGHTS = {
    "hf": [
        Skip("*h.*.attn.bias"),  # masks, not weights
        Skip("*h.*.attn.masked_bias"),
        Rename("transformer.*", "*"),  # the first checkpoints have no "transformer."
        Rename("wte", "model.embed_tokens"),
        Rename("wpe", "positions"),
        Rename("ln_f", "model.norm"),
        Rename("h.*.ln_1", "model.layers.*.input_layernorm"),
        Rename("h.*.ln_2", "model.layers.*.post_attention_layernorm"),
        Rename("h.*.attn.c_attn", "model.layers.*.self_attn.qkv_proj"),
        Rename("h.*.attn.c_proj", "model.layers.*.self_attn.o_proj"),
        Rename("h.*.mlp.c_fc", "model.layers.*.mlp.up_proj"),
        Rename("h.*.mlp.c_proj", "model.layers.*.mlp.down_proj"),
        Transpose("model.layers.*_proj"),
        QKV,
    ],
    "gguf": [Rename("position_embd", "positions"), QKV],
}
