"""Gemma 3, text: Gemma 2 with norms of q and k instead of caps.

Five of six layers see a window, and rotate by a base of their own.
"""

import reprlib
from types import MappingProxyType
from typing import Any

from pydantic import Field
from tramontane.blocks import Attention, GatedMLP, RMSNorm, Rope, SandwichNormLayer, rope_for

from .model import TANH, Gemma2, Gemma2Config


class Gemma3Config(Gemma2Config):
    attn_logit_softcapping: float | None = Field(default=None, ge=0)
    final_logit_softcapping: float | None = Field(default=None, ge=0)
    sliding_window_pattern: int = Field(default=6, gt=0)
    rope_theta: float = Field(default=1_000_000.0, gt=0)
    rope_local_base_freq: float = Field(default=10_000.0, gt=0)
    absent = MappingProxyType({"max_position_embeddings": 131_072})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        both = values.get("rope_parameters")
        if isinstance(both, dict) and both.keys() & {"full_attention", "sliding_attention"}:
            local = both.get("sliding_attention") or {}
            if not isinstance(local, dict) or local.get("rope_type", "default") != "default":
                raise ValueError(
                    f"rope_parameters of sliding_attention: {reprlib.repr(local)} is not supported"
                )
            if local.get("rope_theta") is not None:
                values["rope_local_base_freq"] = local["rope_theta"]
            values["rope_parameters"] = both.get("full_attention")


def gemma3_layer(cfg: Gemma3Config, index: int) -> SandwichNormLayer:
    window = cfg.window(index)
    attention = Attention(
        cfg,
        index,
        rope=rope_for(cfg) if window is None else Rope(cfg.head_dim, cfg.rope_local_base_freq),
        q_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
        k_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
        scale=cfg.query_pre_attn_scalar**-0.5,
        window=window,
    )
    attention.softcap = cfg.attn_logit_softcapping or None
    return SandwichNormLayer(cfg, attention, GatedMLP(cfg, act=TANH))


class Gemma3(Gemma2):
    Layer = staticmethod(gemma3_layer)
