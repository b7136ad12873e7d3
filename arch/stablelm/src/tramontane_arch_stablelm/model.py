"""StableLM: a gated feed-forward half, LayerNorm, and a quarter of each head rotated.

The 12B's halves read one norm, and each of its heads of q and k has a norm of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import nn
from tramontane.blocks import (
    Attention,
    CausalLM,
    GatedMLP,
    HeadNorm,
    ParallelLayer,
    PreNormLayer,
    layer_norm,
    rope_for,
)
from tramontane.checkpoint.rules import Kept, Rule
from tramontane.config import LayerNormConfig
from tramontane.layouts import Dense, Layout


class StableLmConfig(LayerNormConfig):
    spellings: ClassVar[Mapping[str, str]] = {"qkv_bias": "use_qkv_bias"}
    hidden_act: Literal["silu"] = "silu"
    use_qkv_bias: bool = False
    qk_layernorm: bool = False
    use_parallel_residual: bool = False
    partial_rotary_factor: float = Field(default=0.25, gt=0, le=1)
    absent = MappingProxyType({"max_position_embeddings": 4096})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        # GGUF files may say otherwise by their key, and llama.cpp looks at the tensor alone
        if "feed_forward_norm" in values:
            values["use_parallel_residual"] = not values["feed_forward_norm"]


def layer(cfg: StableLmConfig, index: int) -> nn.Module:
    counts = (cfg.num_attention_heads, cfg.num_key_value_heads)
    norms = [
        HeadNorm(cfg.head_dim, cfg.layer_norm_eps, heads=count, center=True)
        if cfg.qk_layernorm
        else None
        for count in counts
    ]
    rope, bias = rope_for(cfg), cfg.use_qkv_bias
    attention = Attention(cfg, index, rope=rope, q_norm=norms[0], k_norm=norms[1], bias=bias)
    wiring = ParallelLayer if cfg.use_parallel_residual else PreNormLayer
    return wiring(cfg, attention, GatedMLP(cfg), norm=layer_norm)


class StableLm(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(layer_norm)


@dataclass(frozen=True)
class StackHeads(Kept):
    """Weights of single heads' norms, (d_head), as the rows of one, (heads, d_head)."""

    part: str  # "q" or "k"

    @property
    def pattern(self) -> str:
        return f"*.self_attn.{self.part}_layernorm.norms.*"

    def paths(self, path: str) -> tuple[str, ...]:
        attention = path.partition(f".{self.part}_layernorm.")[0]
        return (f"{attention}.{self.part}_norm",)

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        return Dense(layout.decode()[None])

    def backwards(
        self, shapes: Mapping[str, tuple[int, ...]], model: nn.Module
    ) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for name, shape in shapes.items():
            stem, norm, _ = name.partition(f".{self.part}_norm.weight")
            if norm:
                theirs = f"{stem}.{self.part}_layernorm.norms"
                found |= {f"{theirs}.{head}.weight": shape[1:] for head in range(shape[0])}
            else:
                found[name] = shape
        return found


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        StackHeads("q"),
        StackHeads("k"),
    ],
    "gguf": [],
}
