"""OLMo 2 and 3: norms behind each half of a layer, and across all heads of q and k.

In OLMo 3, three of four layers see a window, and only those that see everything stretch rotation.
"""

import reprlib
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field
from tramontane.blocks import CausalLM, GatedMLP, PostNormLayer, Rope, rope_for
from tramontane.checkpoint.rules import Rename, Rule
from tramontane.config import DecoderConfig

from .attention import WIDE, OlmoAttention


class Olmo2Config(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    absent = MappingProxyType({"rms_norm_eps": 1e-5})

    def window(self, index: int) -> int | None:
        """How many tokens back the layer sees; None: all."""
        return None

    def rope(self, index: int) -> Rope:
        """The layer's rotation."""
        return rope_for(self)


class Olmo3Config(Olmo2Config):
    sliding_window: int | None = 4096
    sliding_window_pattern: int = Field(default=4, gt=0)
    """Every so many layers one sees everything; where `layer_types` does not say which."""
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...] | None = None
    rope_local_base_freq: float | None = Field(default=None, gt=0)
    """Of layers with a window; None: rope_theta."""
    absent = MappingProxyType({"rms_norm_eps": 1e-5, "rope_theta": 500_000.0})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        both = values.get("rope_parameters")
        if isinstance(both, dict) and both.keys() & {"full_attention", "sliding_attention"}:
            local = both.get("sliding_attention") or {}
            if not isinstance(local, dict) or local.get("rope_type", "default") != "default":
                raise ValueError(
                    f"rope_parameters of sliding_attention: {reprlib.repr(local)} is not supported"
                )
            values["rope_local_base_freq"] = local.get("rope_theta", cls.absent["rope_theta"])
            values["rope_parameters"] = both.get("full_attention")

    def window(self, index: int) -> int | None:
        if self.layer_types is not None:
            slides = self.layer_types[index] == "sliding_attention"
        else:
            slides = (index + 1) % self.sliding_window_pattern != 0
        return self.sliding_window if slides else None

    def rope(self, index: int) -> Rope:
        if self.window(index) is None:
            return rope_for(self)
        return Rope(self.head_dim, self.rope_local_base_freq or self.rope_theta)


def layer(cfg: Olmo2Config, index: int) -> PostNormLayer:
    attention = OlmoAttention(
        cfg,
        index,
        rope=cfg.rope(index),
        window=cfg.window(index),
        bias=cfg.attention_bias,
        normed=True,
    )
    return PostNormLayer(cfg, attention, GatedMLP(cfg))


class Olmo2(CausalLM):
    Layer = staticmethod(layer)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": WIDE,
    "gguf": [
        *WIDE,
        Rename("blk.*.post_attention_norm", "model.layers.*.post_attention_layernorm"),
        Rename("blk.*.post_ffw_norm", "model.layers.*.post_feedforward_layernorm"),
    ],
}
