"""CodeGen: GPT-J whose q, v and k lie in one matrix, in four parts as it was trained on."""

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
from tramontane.checkpoint.rules import Deinterleave, Rename, Rule, Skip, Split
from tramontane.config import FIRST_WORDS, LayerNormConfig
from tramontane.config.rope_settings import rotary_part

PARTS = 4


class CodeGenConfig(LayerNormConfig):
    spellings = FIRST_WORDS
    hidden_act: Gelu | Literal["relu"] = "gelu_new"

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        hidden, heads = values.get("hidden_size"), values.get("num_attention_heads")
        if isinstance(hidden, int) and isinstance(heads, int) and 0 < heads <= hidden <= 2**20:
            if heads % PARTS:
                raise ValueError(f"num_attention_heads {heads} is not a multiple of {PARTS}")
            values.setdefault("intermediate_size", 4 * hidden)
            rotated = values.get("rotary_dim", 64)
            if not isinstance(rotated, int) or not 0 < rotated <= hidden // heads:
                raise ValueError(f"rotary_dim={reprlib.repr(rotated)} of {hidden // heads} numbers")
            values["partial_rotary_factor"] = rotary_part(rotated, hidden // heads)


class CodeGenAttention(Attention):
    parts = PARTS
    """In each, rows of q, then of v, then of k."""


def layer(cfg: CodeGenConfig, index: int) -> ParallelLayer:
    attention = CodeGenAttention(cfg, index, rope=rope_for(cfg))
    return ParallelLayer(cfg, attention, MLP(cfg, act=ACTIVATIONS[cfg.hidden_act]), norm=layer_norm)


class CodeGen(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(layer_norm)
    head_bias = True


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("transformer.h.*.attn.causal_mask"),  # a mask, no weight
        Rename("transformer.wte", "model.embed_tokens"),
        Rename("transformer.ln_f", "model.norm"),
        Rename("transformer.h.*.ln_1", "model.layers.*.input_layernorm"),
        Rename("transformer.h.*.attn.out_proj", "model.layers.*.self_attn.o_proj"),
        Rename("transformer.h.*.attn.qkv_proj", "model.layers.*.self_attn.qkv_proj"),
        Rename("transformer.h.*.mlp.fc_in", "model.layers.*.mlp.up_proj"),
        Rename("transformer.h.*.mlp.fc_out", "model.layers.*.mlp.down_proj"),
        Split("*.qkv_proj", ("q_proj", "v_proj", "k_proj"), per="parts"),
        Deinterleave("*.q_proj"),
        Deinterleave("*.k_proj"),
    ],
}
