"""MiniCPM 1, 2 and 4: Llama with the three scales of muP (Hu et al. 2024).

Token vectors times `scale_emb`, what each half adds times `scale_depth` / sqrt(layers), and logits
of the last vector times `dim_model_base` / hidden. The 8x2B has experts.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import (
    Attention,
    CausalLM,
    Experts,
    GatedMLP,
    LayerOf,
    Router,
    ScaledLayer,
    SparseMoE,
    rope_for,
)
from tramontane.checkpoint.rules import EXPERTS, Deinterleave, Rename, Rule, Skip
from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch


class ScaledConfig(DecoderConfig):
    """The three scales; None of the last two: no scaling."""

    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    scale_emb: float = 1.0
    scale_depth: float | None = 1.0
    dim_model_base: float | None = Field(default=1.0, gt=0)
    tie_word_embeddings: bool = True

    @property
    def gain(self) -> float:
        """The factor of what a half adds."""
        depth = self.scale_depth
        return 1.0 if depth is None else depth / math.sqrt(self.num_hidden_layers)

    @property
    def narrowing(self) -> float:
        """What the last vector is divided by."""
        base = self.dim_model_base
        return 1.0 if base is None else self.hidden_size / base


class MiniCpmConfig(ScaledConfig):
    num_experts: int = Field(default=0, ge=0)
    num_experts_per_tok: int = Field(default=2, gt=0)
    sparse_config: Any = None
    """How MiniCPM4 chooses blocks of the context beyond `dense_len` tokens."""

    @model_validator(mode="after")
    def _looks_at_everything(self) -> Self:
        if self.sparse_config is not None:
            raise ValueError(
                "sparse_config makes tokens look at chosen blocks of a long context, which is not "
                "supported; without the key they look at all of it, as within its dense_len"
            )
        return self


def attention(cfg: ScaledConfig, index: int) -> Attention:
    bias = cfg.attention_bias
    return Attention(cfg, index, rope=rope_for(cfg), bias=bias, out_bias=bias)


def layer(cfg: MiniCpmConfig, index: int) -> ScaledLayer:
    mlp: nn.Module = GatedMLP(cfg)
    if count := cfg.num_experts:
        gate = Router(cfg.hidden_size, count, cfg.num_experts_per_tok, normalize=True)
        mlp = SparseMoE(gate, Experts(cfg, count, cfg.intermediate_size))
    return ScaledLayer(cfg, attention(cfg, index), mlp, gain=cfg.gain)


class MiniCpm(CausalLM):
    Layer: ClassVar[LayerOf] = staticmethod(layer)
    cfg: ScaledConfig

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        return super().embed(tokens, batch) * self.cfg.scale_emb

    def logits(self, x: Tensor) -> Tensor:
        return super().logits(x / self.cfg.narrowing)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("*.rotary_emb"),
        Rename("*.experts.*.w1", "*.experts.*.gate_proj"),
        Rename("*.experts.*.w2", "*.experts.*.down_proj"),
        Rename("*.experts.*.w3", "*.experts.*.up_proj"),
        *EXPERTS,
    ],
    "gguf": [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")],
}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """GGUF files have the factors that follow from the scales. Those from before they had them are
    of the first models, whose scales these are."""
    layers, hidden = config.get("num_hidden_layers"), config.get("hidden_size")
    gain, narrowing = values.get("minicpm.residual_scale"), values.get("minicpm.logit_scale")
    found = {"scale_emb": config.get("embedding_multiplier", 12.0)}
    found |= {"scale_depth": 1.4, "dim_model_base": 256.0}
    if isinstance(gain, float) and isinstance(layers, int):
        found["scale_depth"] = gain * math.sqrt(max(0, layers))
    if isinstance(narrowing, float) and isinstance(hidden, int) and narrowing > 0:
        found["dim_model_base"] = hidden / narrowing
    return {**found, "num_experts": config.get("num_local_experts", 0)}
