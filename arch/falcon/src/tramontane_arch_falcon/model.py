"""Falcon: one or few keys for all heads, both halves of a layer side by side.

The 7B models read one norm, those with the new decoder one for each half; Falcon-RW is sequential
and has linear biases instead of rotation, scaled with the scores.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    CausalLM,
    Gelu,
    ParallelLayer,
    ParallelNormsLayer,
    PreNormLayer,
    alibi_slopes,
    layer_norm,
    rope_for,
)
from tramontane.checkpoint.rules import Rename, Rule, Skip, Split
from tramontane.config import LayerNormConfig


class FalconConfig(LayerNormConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "n_embed": "hidden_size",
        "n_head": "num_attention_heads",
        "n_layer": "num_hidden_layers",
        "ffn_hidden_size": "intermediate_size",
        "activation": "hidden_act",
    }
    hidden_act: Gelu = "gelu"
    bias: bool = False
    alibi: bool = False
    parallel_attn: bool = True
    new_decoder_architecture: bool = False
    num_ln_in_parallel_attn: Literal[1, 2] = 1
    tie_word_embeddings: bool = True

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        # the first of the new decoders said it by this key alone
        new = values.setdefault("new_decoder_architecture", "n_head_kv" in values)
        if "n_head_kv" in values:
            values.setdefault("num_kv_heads", values["n_head_kv"])
        two = new or values.get("second_norm", False)  # what is known of a GGUF file
        values.setdefault("num_ln_in_parallel_attn", 2 if two else 1)
        if "num_key_value_heads" not in values:
            heads = values.get("num_attention_heads")
            few = values.get("num_kv_heads", heads) if new else heads
            alone = values.get("multi_query", True) and not new
            values["num_key_value_heads"] = 1 if alone else few
        if isinstance(hidden := values.get("hidden_size"), int):
            values.setdefault("intermediate_size", 4 * hidden)

    @property
    def rotary(self) -> bool:
        return not self.alibi


def layer(cfg: FalconConfig, index: int) -> PreNormLayer | ParallelLayer:
    slopes = [slope * cfg.head_dim**-0.5 for slope in alibi_slopes(cfg.num_attention_heads)]
    attention = Attention(
        cfg,
        index,
        rope=None if cfg.alibi else rope_for(cfg),
        alibi=slopes if cfg.alibi else None,
        bias=cfg.bias,
        out_bias=cfg.bias,
    )
    mlp = MLP(cfg, act=ACTIVATIONS[cfg.hidden_act], bias=cfg.bias)
    return wiring(cfg)(cfg, attention, mlp, norm=layer_norm)


def wiring(cfg: FalconConfig) -> type[PreNormLayer] | type[ParallelLayer]:
    if not cfg.parallel_attn:
        return PreNormLayer
    return ParallelNormsLayer if cfg.num_ln_in_parallel_attn == 2 else ParallelLayer


class Falcon(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(layer_norm)


PARTS = ("q_proj", "k_proj", "v_proj")


def weights(cfg: FalconConfig) -> dict[str, list[Rule]]:
    two = wiring(cfg) is ParallelNormsLayer
    swapped: list[Rule] = [
        # with two norms, llama.cpp calls that of the feed-forward half the first
        Rename("*.input_layernorm", "*.post_attention_layernorm"),
        Rename("blk.*.attn_norm_2", "model.layers.*.input_layernorm"),
    ]
    return {
        "hf": [
            Skip("*.rotary_emb"),
            Rename("transformer.word_embeddings", "model.embed_tokens"),
            Rename("transformer.ln_f", "model.norm"),
            Rename("transformer.h.*", "model.layers.*"),
            Rename("*.ln_attn", "*.input_layernorm"),
            Rename("*.ln_mlp", "*.post_attention_layernorm"),
            Rename("*.self_attention.query_key_value", "*.self_attn.qkv_proj"),
            Rename("*.self_attention.dense", "*.self_attn.o_proj"),
            Rename("*.mlp.dense_h_to_4h", "*.mlp.up_proj"),
            Rename("*.mlp.dense_4h_to_h", "*.mlp.down_proj"),
            Split("*.qkv_proj", PARTS, per="kv_heads"),
        ],
        "gguf": [*(swapped if two else []), Split("*.qkv_proj", PARTS)],
    }
