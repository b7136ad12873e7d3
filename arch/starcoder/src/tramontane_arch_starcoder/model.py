"""StarCoder2, and GPTBigCode: the first StarCoder, a GPT-2 with one key for all heads."""

from types import MappingProxyType
from typing import Any, Literal

from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    CausalLM,
    Gelu,
    PositionedLM,
    PreNormLayer,
    layer_norm,
    rope_for,
)
from tramontane.checkpoint.rules import Rename, Skip, Split
from tramontane.config import FIRST_WORDS, LayerNormConfig


class Starcoder2Config(LayerNormConfig):
    hidden_act: Gelu = "gelu_pytorch_tanh"
    use_bias: bool = True
    sliding_window: int | None = None
    tie_word_embeddings: bool = True
    absent = MappingProxyType({"max_position_embeddings": 4096})


class GPTBigCodeConfig(LayerNormConfig):
    spellings = FIRST_WORDS
    hidden_act: Gelu = "gelu_pytorch_tanh"
    scale_attn_weights: bool = True
    add_cross_attention: Literal[False] = False
    tie_word_embeddings: bool = True
    absent = MappingProxyType({"max_position_embeddings": 1024})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if values.get("multi_query", True):
            values.setdefault("num_key_value_heads", 1)
        if isinstance(hidden := values.get("hidden_size"), int):
            values.setdefault("intermediate_size", 4 * hidden)

    @property
    def rotary(self) -> bool:
        return False


def starcoder2_layer(cfg: Starcoder2Config, index: int) -> PreNormLayer:
    bias, window = cfg.use_bias, cfg.sliding_window
    rope = rope_for(cfg)
    attention = Attention(cfg, index, rope=rope, window=window, bias=bias, out_bias=bias)
    mlp = MLP(cfg, act=ACTIVATIONS[cfg.hidden_act], bias=bias)
    return PreNormLayer(cfg, attention, mlp, norm=layer_norm)


def bigcode_layer(cfg: GPTBigCodeConfig, index: int) -> PreNormLayer:
    scale = None if cfg.scale_attn_weights else 1.0
    attention = Attention(cfg, index, rope=None, scale=scale, bias=True, out_bias=True)
    return PreNormLayer(cfg, attention, MLP(cfg, act=ACTIVATIONS[cfg.hidden_act]), norm=layer_norm)


class Starcoder2(CausalLM):
    Layer = staticmethod(starcoder2_layer)
    Norm = staticmethod(layer_norm)


class GPTBigCode(PositionedLM):
    Layer = staticmethod(bigcode_layer)
    Norm = staticmethod(layer_norm)


PARTS = ("q_proj", "k_proj", "v_proj")
STARCODER2_WEIGHTS = {
    "hf": [
        Skip("*.rotary_emb"),
        Rename("*.mlp.c_fc", "*.mlp.up_proj"),
        Rename("*.mlp.c_proj", "*.mlp.down_proj"),
    ],
}
BIGCODE_WEIGHTS = {
    "hf": [
        Skip("transformer.h.*.attn.bias"),  # masks, not weights
        Rename("transformer.wte", "model.embed_tokens"),
        Rename("transformer.wpe", "positions"),
        Rename("transformer.ln_f", "model.norm"),
        Rename("transformer.h.*.ln_1", "model.layers.*.input_layernorm"),
        Rename("transformer.h.*.ln_2", "model.layers.*.post_attention_layernorm"),
        Rename("transformer.h.*.attn.c_attn", "model.layers.*.self_attn.qkv_proj"),
        Rename("transformer.h.*.attn.c_proj", "model.layers.*.self_attn.o_proj"),
        Rename("transformer.h.*.mlp.c_fc", "model.layers.*.mlp.up_proj"),
        Rename("transformer.h.*.mlp.c_proj", "model.layers.*.mlp.down_proj"),
        Split("*.qkv_proj", PARTS, per="kv_heads"),
    ],
    "gguf": [Rename("position_embd", "positions"), Split("*.qkv_proj", PARTS)],
}
