"""SmolLM3: Llama in which every fourth layer knows no positions."""

from types import MappingProxyType
from typing import Literal

from pydantic import Field
from tramontane.blocks import Attention, CausalLM, GatedMLP, PreNormLayer, rope_for
from tramontane.checkpoint.rules import Deinterleave, Skip
from tramontane.config import DecoderConfig


class SmolLM3Config(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    no_rope_layers: tuple[Literal[0, 1], ...] | None = None
    """1 for each layer that rotates, in spite of the name."""
    no_rope_layer_interval: int = Field(default=4, gt=0)
    use_sliding_window: bool = False
    sliding_window: int | None = None
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...] | None = None
    tie_word_embeddings: bool = True
    absent = MappingProxyType({"max_position_embeddings": 32_768, "rope_theta": 2e6})

    def rotates(self, index: int) -> bool:
        """Whether the layer knows positions."""
        if self.no_rope_layers is not None:
            return bool(self.no_rope_layers[index])
        return (index + 1) % self.no_rope_layer_interval != 0

    def window(self, index: int) -> int | None:
        """How many tokens back the layer sees; None: all."""
        if not self.use_sliding_window:
            return None
        if self.layer_types is not None:
            slides = self.layer_types[index] == "sliding_attention"
        else:
            slides = not self.rotates(index)
        return self.sliding_window if slides else None


def layer(cfg: SmolLM3Config, index: int) -> PreNormLayer:
    rope = rope_for(cfg) if cfg.rotates(index) else None
    bias, window = cfg.attention_bias, cfg.window(index)
    attention = Attention(cfg, index, rope=rope, window=window, bias=bias, out_bias=bias)
    return PreNormLayer(cfg, attention, GatedMLP(cfg, bias=cfg.mlp_bias))


class SmolLM3(CausalLM):
    Layer = staticmethod(layer)


WEIGHTS = {
    "hf": [Skip("*.rotary_emb")],
    "gguf": [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")],
}
