"""Command R: both halves of a layer read one norm without bias, and logits are scaled.

Command R+ norms the heads of q and k. In Cohere 2, three of four layers see a window and rotate;
the others see everything and know no positions.
"""

from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor
from tramontane.blocks import (
    Attention,
    CausalLM,
    GatedMLP,
    HeadNorm,
    LayerNorm,
    LayerOf,
    ParallelLayer,
    rope_for,
)
from tramontane.checkpoint.rules import Deinterleave, Rule
from tramontane.config import LayerNormConfig


class CohereConfig(LayerNormConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    use_qk_norm: bool = False
    logit_scale: float = 0.0625
    tie_word_embeddings: bool = True
    absent = MappingProxyType({"max_position_embeddings": 8192, "rope_theta": 500_000.0})


class Cohere2Config(LayerNormConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    logit_scale: float = 0.0625
    tie_word_embeddings: bool = True
    sliding_window: int | None = 4096
    sliding_window_pattern: int = Field(default=4, gt=0)
    """Every so many layers one sees everything; where `layer_types` does not say which."""
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...] | None = None
    absent = MappingProxyType({"max_position_embeddings": 8192})

    def window(self, index: int) -> int | None:
        """How many tokens back the layer sees; None: all."""
        if self.layer_types is not None:
            slides = self.layer_types[index] == "sliding_attention"
        else:
            slides = (index + 1) % self.sliding_window_pattern != 0
        return self.sliding_window if slides else None


def norm(cfg: LayerNormConfig) -> LayerNorm:
    return LayerNorm(cfg.hidden_size, cfg.layer_norm_eps, bias=False)


def head_norm(cfg: CohereConfig, heads: int) -> HeadNorm | None:
    if not cfg.use_qk_norm:
        return None
    return HeadNorm(cfg.head_dim, cfg.layer_norm_eps, heads=heads, center=True)


def layer(cfg: CohereConfig, index: int) -> ParallelLayer:
    attention = Attention(
        cfg,
        index,
        rope=rope_for(cfg),
        q_norm=head_norm(cfg, cfg.num_attention_heads),
        k_norm=head_norm(cfg, cfg.num_key_value_heads),
        bias=cfg.attention_bias,
        out_bias=cfg.attention_bias,
    )
    return ParallelLayer(cfg, attention, GatedMLP(cfg), norm=norm)


def layer_2(cfg: Cohere2Config, index: int) -> ParallelLayer:
    window, bias = cfg.window(index), cfg.attention_bias
    rope = None if window is None else rope_for(cfg)
    attention = Attention(cfg, index, rope=rope, window=window, bias=bias, out_bias=bias)
    return ParallelLayer(cfg, attention, GatedMLP(cfg), norm=norm)


class Cohere(CausalLM):
    Layer: ClassVar[LayerOf] = staticmethod(layer)
    Norm = staticmethod(norm)
    cfg: CohereConfig | Cohere2Config

    def logits(self, x: Tensor) -> Tensor:
        return super().logits(x) * self.cfg.logit_scale


class Cohere2(Cohere):
    Layer = staticmethod(layer_2)


# layers that do not rotate are moved as well: scores stay as they are
PAIRS: list[Rule] = [Deinterleave(f"*.{part}_{kind}") for part in "qk" for kind in ("proj", "norm")]
WEIGHTS = {"hf": PAIRS, "gguf": PAIRS}
