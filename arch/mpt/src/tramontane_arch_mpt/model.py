"""MPT: no rotation but linear biases, layer norms without bias, and q, k and v kept in bounds."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor
from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    CausalLM,
    LayerNorm,
    PreNormLayer,
    alibi_slopes,
)
from tramontane.checkpoint.rules import Rename, Split
from tramontane.config import LayerNormConfig


class MptConfig(LayerNormConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "d_model": "hidden_size",
        "n_heads": "num_attention_heads",
        "n_layers": "num_hidden_layers",
        "max_seq_len": "max_position_embeddings",
        "softmax_scale": "attention_multiplier",
        "alibi_bias_max": "max_alibi_bias",
    }
    hidden_act: Literal["gelu"] = "gelu"
    no_bias: Literal[True] = True
    alibi: Literal[True] = True
    qk_ln: Literal[False] = False
    prefix_lm: Literal[False] = False
    logit_scale: None = None
    expansion_ratio: Literal[4] = 4
    attn_type: Literal["multihead_attention"] = "multihead_attention"
    clip_qkv: float | None = Field(default=None, gt=0)
    max_alibi_bias: float = Field(default=8.0, gt=0)
    attention_multiplier: float | None = Field(default=None, gt=0)
    tie_word_embeddings: bool = True

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        inner = values.pop("attn_config", None)
        for key, value in inner.items() if isinstance(inner, dict) else ():
            if value is not None:
                values.setdefault(cls.spellings.get(key, key), value)
        if isinstance(hidden := values.get("hidden_size"), int):
            values.setdefault("intermediate_size", 4 * hidden)

    @property
    def rotary(self) -> bool:
        return False


class MptAttention(Attention):
    """q, k and v stay within +-clip."""

    def __init__(self, cfg: MptConfig, index: int) -> None:
        slopes = alibi_slopes(cfg.num_attention_heads, cfg.max_alibi_bias)
        super().__init__(cfg, index, rope=None, alibi=slopes, scale=cfg.attention_multiplier)
        self.clip = cfg.clip_qkv

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = super().project(x)
        if self.clip is None:
            return q, k, v
        return tuple(each.clamp(-self.clip, self.clip) for each in (q, k, v))  # type: ignore[return-value]


def norm(cfg: MptConfig) -> LayerNorm:
    return LayerNorm(cfg.hidden_size, cfg.layer_norm_eps, bias=False)


def layer(cfg: MptConfig, index: int) -> PreNormLayer:
    mlp = MLP(cfg, act=ACTIVATIONS[cfg.hidden_act], bias=False)
    return PreNormLayer(cfg, MptAttention(cfg, index), mlp, norm=norm)


class Mpt(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(norm)


QKV = Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"))
WEIGHTS = {
    "hf": [
        Rename("transformer.wte", "model.embed_tokens"),
        Rename("transformer.norm_f", "model.norm"),
        Rename("transformer.blocks.*.norm_1", "model.layers.*.input_layernorm"),
        Rename("transformer.blocks.*.norm_2", "model.layers.*.post_attention_layernorm"),
        Rename("transformer.blocks.*.attn.Wqkv", "model.layers.*.self_attn.qkv_proj"),
        Rename("transformer.blocks.*.attn.out_proj", "model.layers.*.self_attn.o_proj"),
        Rename("transformer.blocks.*.ffn.up_proj", "model.layers.*.mlp.up_proj"),
        Rename("transformer.blocks.*.ffn.down_proj", "model.layers.*.mlp.down_proj"),
        QKV,
    ],
    "gguf": [QKV],
}
