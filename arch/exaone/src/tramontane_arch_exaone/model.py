"""EXAONE 4: norms behind each half of a layer, and of each head of q and k.

Where there is a window, three of four layers see it and rotate; the others see everything and know
no positions. Without one, all layers rotate.
"""

import reprlib
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field
from tramontane.blocks import Attention, CausalLM, GatedMLP, PostNormLayer, RMSNorm, rope_for
from tramontane.checkpoint.rules import Rename, Rule
from tramontane.config import DecoderConfig


class ExaoneConfig(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    sliding_window: int | None = 4096
    sliding_window_pattern: int = Field(default=4, ge=0)
    """Every so many layers one sees everything; or "LLLG", a letter for each layer, over and over,
    L for those with a window. Where `layer_types` does not say which."""
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...] | None = None
    absent = MappingProxyType({"rms_norm_eps": 1e-5})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        letters, layers = values.get("sliding_window_pattern"), values.get("num_hidden_layers")
        if not isinstance(letters, str):
            return
        if not letters or {*letters} - {"L", "G"}:
            raise ValueError(
                f"sliding_window_pattern={reprlib.repr(letters)}: a number, or letters L and G"
            )
        del values["sliding_window_pattern"]
        if isinstance(layers, int) and 0 < layers <= 4096 and values.get("sliding_window", 1):
            kinds = {"L": "sliding_attention", "G": "full_attention"}
            each = [kinds[letters[index % len(letters)]] for index in range(layers)]
            values.setdefault("layer_types", each)

    def window(self, index: int) -> int | None:
        """How many tokens back the layer sees; None: all."""
        if self.layer_types is not None:
            slides = self.layer_types[index] == "sliding_attention"
        else:
            pattern = self.sliding_window_pattern
            slides = pattern > 0 and (index + 1) % pattern != 0
        return self.sliding_window if slides else None


def layer(cfg: ExaoneConfig, index: int) -> PostNormLayer:
    window = cfg.window(index)
    attention = Attention(
        cfg,
        index,
        rope=None if window is None and cfg.sliding_window is not None else rope_for(cfg),
        q_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
        k_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
        window=window,
    )
    return PostNormLayer(cfg, attention, GatedMLP(cfg))


class Exaone(CausalLM):
    Layer = staticmethod(layer)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [],
    "gguf": [
        Rename("blk.*.post_attention_norm", "model.layers.*.post_attention_layernorm"),
        Rename("blk.*.post_ffw_norm", "model.layers.*.post_feedforward_layernorm"),
    ],
}
