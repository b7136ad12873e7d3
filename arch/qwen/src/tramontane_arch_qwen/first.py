"""Qwen, the first: full heads, biases of q, k and v in one matrix, and half the width that its
configuration says."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field
from tramontane.blocks import Attention, CausalLM, GatedMLP, PreNormLayer, rope_for
from tramontane.checkpoint.rules import Rename, Rule, Skip, Split
from tramontane.config import DecoderConfig


class QwenConfig(DecoderConfig):
    """The context is `seq_length`: beyond it Qwen's code stretches the rotation and queries
    (use_dynamic_ntk, use_logn_attn), which is not done here."""

    spellings: ClassVar[Mapping[str, str]] = {
        "layer_norm_epsilon": "rms_norm_eps",
        "rotary_emb_base": "rope_theta",
        "kv_channels": "head_dim",
    }
    hidden_act: Literal["silu"] = "silu"
    no_bias: Literal[True] = True
    rotary_pct: float = Field(default=1.0, ge=1, le=1)
    scale_attn_weights: Literal[True] = True

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if isinstance(trained := values.get("seq_length"), int):
            values["max_position_embeddings"] = trained
        if isinstance(both := values.get("intermediate_size"), int):
            values["intermediate_size"] = both // 2  # of gate and up together
        values["num_key_value_heads"] = values.get("num_attention_heads")


def layer(cfg: QwenConfig, index: int) -> PreNormLayer:
    attention = Attention(cfg, index, rope=rope_for(cfg), bias=True)
    return PreNormLayer(cfg, attention, GatedMLP(cfg))


class Qwen(CausalLM):
    Layer = staticmethod(layer)


QKV = Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"))
WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("transformer.rotary_emb"),
        Skip("transformer.h.*.attn.masked_bias"),
        Rename("transformer.wte", "model.embed_tokens"),
        Rename("transformer.ln_f", "model.norm"),
        Rename("transformer.h.*.ln_1", "model.layers.*.input_layernorm"),
        Rename("transformer.h.*.ln_2", "model.layers.*.post_attention_layernorm"),
        Rename("transformer.h.*.attn.c_attn", "model.layers.*.self_attn.qkv_proj"),
        Rename("transformer.h.*.attn.c_proj", "model.layers.*.self_attn.o_proj"),
        Rename("transformer.h.*.mlp.w1", "model.layers.*.mlp.up_proj"),
        Rename("transformer.h.*.mlp.w2", "model.layers.*.mlp.gate_proj"),
        Rename("transformer.h.*.mlp.c_proj", "model.layers.*.mlp.down_proj"),
        QKV,
    ],
    "gguf": [QKV],
}
