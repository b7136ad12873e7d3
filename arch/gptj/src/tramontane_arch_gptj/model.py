"""GPT-J: a layer's halves read one norm; a part of each head is rotated, by adjacent pairs."""

import reprlib
from typing import Any, Literal

from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    CausalLM,
    Gelu,
    ParallelLayer,
    layer_norm,
    rope_for,
)
from tramontane.checkpoint.rules import Deinterleave, Rename, Skip
from tramontane.config import FIRST_WORDS, LayerNormConfig
from tramontane.config.rope_settings import rotary_part


class GPTJConfig(LayerNormConfig):
    spellings = FIRST_WORDS
    hidden_act: Gelu | Literal["relu"] = "gelu_new"

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        hidden, heads = values.get("hidden_size"), values.get("num_attention_heads")
        if isinstance(hidden, int) and isinstance(heads, int) and 0 < heads <= hidden <= 2**20:
            values.setdefault("intermediate_size", 4 * hidden)
            rotated = values.get("rotary_dim", 64)
            if not isinstance(rotated, int) or not 0 < rotated <= hidden // heads:
                raise ValueError(f"rotary_dim={reprlib.repr(rotated)} of {hidden // heads} numbers")
            values["partial_rotary_factor"] = rotary_part(rotated, hidden // heads)


def layer(cfg: GPTJConfig, index: int) -> ParallelLayer:
    attention = Attention(cfg, index, rope=rope_for(cfg))
    return ParallelLayer(cfg, attention, MLP(cfg, act=ACTIVATIONS[cfg.hidden_act]), norm=layer_norm)


class GPTJ(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(layer_norm)
    head_bias = True


WEIGHTS = {
    "hf": [
        Skip("transformer.h.*.attn.bias"),  # masks, not weights
        Skip("transformer.h.*.attn.masked_bias"),
        Rename("transformer.wte", "model.embed_tokens"),
        Rename("transformer.ln_f", "model.norm"),
        Rename("transformer.h.*.ln_1", "model.layers.*.input_layernorm"),
        Rename("transformer.h.*.attn.out_proj", "model.layers.*.self_attn.o_proj"),
        Rename("transformer.h.*.attn.*", "model.layers.*.self_attn.*"),
        Rename("transformer.h.*.mlp.fc_in", "model.layers.*.mlp.up_proj"),
        Rename("transformer.h.*.mlp.fc_out", "model.layers.*.mlp.down_proj"),
        Deinterleave("*.q_proj"),
        Deinterleave("*.k_proj"),
    ],
}
