"""BLOOM: linear biases instead of rotation, and a norm over the token vectors."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor
from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    CausalLM,
    PreNormLayer,
    alibi_slopes,
    layer_norm,
)
from tramontane.checkpoint.rules import Rename, Split
from tramontane.config import LayerNormConfig
from tramontane.engine.batch import Batch


class BloomConfig(LayerNormConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "n_embed": "hidden_size",
        "n_head": "num_attention_heads",
        "n_layer": "num_hidden_layers",
        "seq_length": "max_position_embeddings",
    }
    hidden_act: Literal["gelu_new"] = "gelu_new"
    apply_residual_connection_post_layernorm: bool = False
    tie_word_embeddings: bool = True

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if isinstance(hidden := values.get("hidden_size"), int):
            values.setdefault("intermediate_size", 4 * hidden)

    @property
    def rotary(self) -> bool:
        return False


class NormedResidualLayer(PreNormLayer):
    """What a half reads, it adds to: the normalized vector goes on, and not the one before."""

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = self.input_layernorm(x)
        x = self.post_attention_layernorm(x + self.self_attn(x, batch))
        out: Tensor = x + self.mlp(x)
        return out


def layer(cfg: BloomConfig, index: int) -> PreNormLayer:
    slopes = alibi_slopes(cfg.num_attention_heads)
    attention = Attention(cfg, index, rope=None, alibi=slopes, bias=True, out_bias=True)
    normed = cfg.apply_residual_connection_post_layernorm
    wiring = NormedResidualLayer if normed else PreNormLayer
    return wiring(cfg, attention, MLP(cfg, act=ACTIVATIONS[cfg.hidden_act]), norm=layer_norm)


class Bloom(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(layer_norm)

    def __init__(self, cfg: BloomConfig) -> None:
        super().__init__(cfg)
        self.embed_norm = layer_norm(cfg)

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        out: Tensor = self.embed_norm(super().embed(tokens, batch))
        return out


WEIGHTS = {
    "hf": [
        Rename("h.*", "transformer.h.*"),  # the first checkpoints have no "transformer."
        Rename("word_embeddings*", "transformer.word_embeddings*"),
        Rename("ln_f", "transformer.ln_f"),
        Rename("transformer.word_embeddings_layernorm", "embed_norm"),
        Rename("transformer.word_embeddings", "model.embed_tokens"),
        Rename("transformer.ln_f", "model.norm"),
        Rename("transformer.h.*", "model.layers.*"),
        Rename("*.self_attention.query_key_value", "*.self_attn.qkv_proj"),
        Rename("*.self_attention.dense", "*.self_attn.o_proj"),
        Rename("*.mlp.dense_h_to_4h", "*.mlp.up_proj"),
        Rename("*.mlp.dense_4h_to_h", "*.mlp.down_proj"),
        Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"), per="kv_heads"),
    ],
    "gguf": [
        Rename("token_embd_norm", "embed_norm"),
        Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj")),
    ],
}
