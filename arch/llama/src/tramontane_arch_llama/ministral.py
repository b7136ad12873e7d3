"""Ministral 3: Llama's wiring, with queries that grow with their position.

A query at position p is multiplied by 1 + beta log(1 + floor(p / trained)), beta being
llama_4_scaling_beta and trained the context that the rotation was trained with.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from tramontane.blocks import Attention, CausalLM, GatedMLP, PreNormLayer, Rope, rope_for
from tramontane.checkpoint.rules import TEXT_PART, Rule, Skip
from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch

from .model import INTERLEAVED

PUBLISHED = {
    "rope_type": "yarn", "rope_theta": 1e6, "factor": 16.0, "beta_fast": 32.0, "beta_slow": 1.0,
    "original_max_position_embeddings": 16_384, "mscale": 1.0, "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.1,
}  # fmt: skip
"""What a configuration means that says nothing of the rotation."""


class Ministral3Config(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    sliding_window: int | None = None
    llama_4_scaling_beta: float = Field(default=0.0, ge=0)
    original_max_position_embeddings: int | None = Field(default=None, gt=0, le=2**40)
    absent = MappingProxyType(
        {"max_position_embeddings": 262_144, "rms_norm_eps": 1e-5, "head_dim": 128}
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if not values.keys() & {"rope_parameters", "rope_scaling", "rope_theta"}:
            values["rope_parameters"] = PUBLISHED
        settings = values.get("rope_parameters") or values.get("rope_scaling")
        if isinstance(settings, Mapping):
            for name in ("llama_4_scaling_beta", "original_max_position_embeddings"):
                if settings.get(name) is not None:
                    values.setdefault(name, settings[name])

    @model_validator(mode="after")
    def _says_how_often(self) -> Self:
        if self.llama_4_scaling_beta and self.original_max_position_embeddings is None:
            raise ValueError(
                f"llama_4_scaling_beta {self.llama_4_scaling_beta} needs "
                "original_max_position_embeddings"
            )
        if self.llama_4_scaling_beta and self.partial_rotary_factor != 1:
            raise ValueError(
                f"partial_rotary_factor {self.partial_rotary_factor} with llama_4_scaling_beta is "
                "not supported"
            )
        return self


class GrowingRope(Rope):
    """A rotation of whole heads that also multiplies them by a factor of their position."""

    def __init__(self, rope: Rope, beta: float, trained: int) -> None:
        super().__init__(rope.dim, rope.theta, rope.scaling)
        self.beta, self.trained = beta, trained
        self.settings = (*rope.settings, beta, trained)

    def angles(self, positions: Tensor, extents: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = super().angles(positions, extents)
        periods = torch.floor(positions.float() / self.trained)
        factor = (1 + self.beta * torch.log(1 + periods))[:, None, None]
        return cos * factor, sin * factor


class GrowingAttention(Attention):
    """Attention whose queries are rotated and multiplied at once, and keys rotated alone."""

    def __init__(self, cfg: Ministral3Config, index: int) -> None:
        rope = rope_for(cfg)
        super().__init__(cfg, index, rope=rope, window=cfg.sliding_window)
        trained = cfg.original_max_position_embeddings or 1
        self.query_rope = GrowingRope(rope, cfg.llama_4_scaling_beta, trained)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        assert self.rope is not None
        q, k, v = (each.unflatten(-1, (-1, self.d_head)) for each in self.project(x))
        q, k = self.query_rope(q, batch), self.rope(k, batch)
        self.keep(k, v, batch)
        return self.mix(q, batch)


def layer(cfg: Ministral3Config, index: int) -> PreNormLayer:
    if cfg.llama_4_scaling_beta:
        return PreNormLayer(cfg, GrowingAttention(cfg, index), GatedMLP(cfg))
    attention = Attention(cfg, index, rope=rope_for(cfg), window=cfg.sliding_window)
    return PreNormLayer(cfg, attention, GatedMLP(cfg))


class Ministral3(CausalLM):
    Layer = staticmethod(layer)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [*TEXT_PART, Skip("*.rotary_emb")],
    "gguf": [*INTERLEAVED],
}
