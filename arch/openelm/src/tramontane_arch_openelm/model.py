"""OpenELM (Mehta et al. 2024): heads and feed-forward halves that grow from layer to layer, and
norms of each head of q and k."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field
from tramontane.blocks import (
    Attention,
    CausalLM,
    GatedMLP,
    PreNormLayer,
    RMSNorm,
    rope_for,
)
from tramontane.checkpoint.rules import Rename, Rule, Split
from tramontane.config import DecoderConfig, of_layer


class OpenElmConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "model_dim": "hidden_size",
        "num_transformer_layers": "num_hidden_layers",
        "num_query_heads": "num_attention_heads",
        "num_kv_heads": "num_key_value_heads",
        "max_context_length": "max_position_embeddings",
        "rope_freq_constant": "rope_theta",
        "share_input_output_layers": "tie_word_embeddings",
        "activation_fn_name": "hidden_act",
        "normalize_qk_projections": "use_qk_norm",
    }
    num_attention_heads: int | tuple[int, ...]  # type: ignore[assignment]
    num_key_value_heads: int | tuple[int, ...]  # type: ignore[assignment]
    intermediate_size: int | tuple[int, ...]  # type: ignore[assignment]
    hidden_act: Literal["swish", "silu"] = "swish"
    normalization_layer_name: Literal["rms_norm"] = "rms_norm"
    ffn_with_glu: Literal[True] = True
    use_qk_norm: bool = True
    ffn_dim_divisor: int = Field(default=256, gt=0)
    tie_word_embeddings: bool = True

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        shares, hidden = values.pop("ffn_multipliers", None), values.get("hidden_size")
        divisor = values.get("ffn_dim_divisor", 256)
        told = isinstance(shares, (list, tuple)) and all(isinstance(x, int | float) for x in shares)
        if told and isinstance(hidden, int) and isinstance(divisor, int) and divisor > 0:
            wide = tuple(divisible(share * hidden, divisor) for share in shares)
            values.setdefault("intermediate_size", wide)


def divisible(size: float, divisor: int) -> int:
    """The multiple of divisor that is nearest to size, but not a tenth below it."""
    nearest = max(divisor, int(size + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * size else nearest


def layer(cfg: OpenElmConfig, index: int) -> PreNormLayer:
    norms = [RMSNorm(cfg.head_dim, cfg.rms_norm_eps) if cfg.use_qk_norm else None for _ in "qk"]
    attention = Attention(cfg, index, rope=rope_for(cfg), q_norm=norms[0], k_norm=norms[1])
    wide = of_layer(cfg.intermediate_size, index)
    return PreNormLayer(cfg, attention, GatedMLP(cfg, wide=wide))


class OpenElm(CausalLM):
    Layer = staticmethod(layer)


QKV = Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"))
WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Rename("transformer.token_embeddings", "model.embed_tokens"),
        Rename("transformer.norm", "model.norm"),
        Rename("transformer.layers.*", "model.layers.*"),
        Rename("*.attn_norm", "*.input_layernorm"),
        Rename("*.ffn_norm", "*.post_attention_layernorm"),
        Rename("*.attn.out_proj", "*.self_attn.o_proj"),
        Rename("*.attn.*", "*.self_attn.*"),
        Rename("*.ffn.proj_1", "*.mlp.gate_up_proj"),
        Rename("*.ffn.proj_2", "*.mlp.down_proj"),
        Split("*.mlp.gate_up_proj", ("gate_proj", "up_proj")),
        QKV,
    ],
    "gguf": [QKV],
}
