"""GPT-2: learned positions, and matrices stored the other way round."""

from types import MappingProxyType
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
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    add_cross_attention: Literal[False] = False
    tie_word_embeddings: bool = True
    absent = MappingProxyType({"max_position_embeddings": 1024})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if isinstance(hidden := values.get("hidden_size"), int):
            values.setdefault("intermediate_size", 4 * hidden)

    @property
    def rotary(self) -> bool:
        return False

    def score_scale(self, index: int) -> float:
        """Of a layer's attention; in the models of Stanford's Mistral it falls with depth."""
        scale = self.head_dim**-0.5 if self.scale_attn_weights else 1.0
        return scale / (index + 1) if self.scale_attn_by_inverse_layer_idx else scale


def layer(cfg: GPT2Config, index: int) -> PreNormLayer:
    scale = cfg.score_scale(index)
    attention = Attention(cfg, index, rope=None, scale=scale, bias=True, out_bias=True)
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
