"""MiniCPM3: MiniCPM's three scales, and latent attention that rotates halves."""

from types import MappingProxyType
from typing import Any

from pydantic import Field
from tramontane.blocks import GatedMLP, LatentAttention, ScaledLayer, latent_scale, rope_for
from tramontane.checkpoint.latent_rules import KeysAndValues
from tramontane.checkpoint.rules import Rule, Skip

from .model import MiniCpm, ScaledConfig


class MiniCpm3Config(ScaledConfig):
    mlp_bias: bool = False
    scale_emb: float = 12.0
    scale_depth: float | None = 1.4
    dim_model_base: float | None = Field(default=256.0, gt=0)
    q_lora_rank: int | None = Field(default=768, gt=0)
    kv_lora_rank: int = Field(default=256, gt=0)
    qk_nope_head_dim: int = Field(default=64, gt=0)
    qk_rope_head_dim: int = Field(default=32, gt=0)
    v_head_dim: int = Field(gt=0)
    absent = MappingProxyType({"max_position_embeddings": 32_768, "rms_norm_eps": 1e-5})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        turned, whole = values.get("qk_rope_head_dim", 32), values.get("head_dim")
        if isinstance(turned, int) and isinstance(whole, int) and whole > turned:
            values.setdefault("qk_nope_head_dim", whole - turned)  # GGUF files say the whole
        hidden, heads = values.get("hidden_size"), values.get("num_attention_heads")
        if isinstance(hidden, int) and isinstance(heads, int) and heads > 0:
            values.setdefault("v_head_dim", hidden // heads)
        values["head_dim"] = turned  # of a head, only this part is rotated
        values["num_key_value_heads"] = heads
        values.pop("partial_rotary_factor", None)


def layer(cfg: MiniCpm3Config, index: int) -> ScaledLayer:
    scale, bias = latent_scale(cfg, cfg), cfg.attention_bias
    attention = LatentAttention(cfg, cfg, index, rope=rope_for(cfg), scale=scale, bias=bias)
    return ScaledLayer(cfg, attention, GatedMLP(cfg, bias=cfg.mlp_bias), gain=cfg.gain)


class MiniCpm3(MiniCpm):
    Layer = staticmethod(layer)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [Skip("*.rotary_emb"), KeysAndValues()],
    "gguf": [KeysAndValues()],
}
