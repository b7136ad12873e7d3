"""Configurations with Mamba-2 layers, as most families that have them write it."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from .decoder import DecoderConfig

UNLIMITED: list[list[Any]] = [[0.0, math.inf], [0.0, {"__float__": "Infinity"}]]
"""How configurations say that time steps are not limited."""


class Mamba2Config(DecoderConfig):
    """The fields of `tramontane.blocks.Mamba2`, beside a decoder's. A family's class overrides
    `inner` where it has a field of its own for it, and calls `check_heads` in a validator."""

    mamba_n_heads: int = Field(default=128, gt=0, le=2**14)
    mamba_n_groups: int = Field(default=1, gt=0, le=2**14)
    mamba_d_state: int = Field(default=256, gt=0, le=2**14)
    mamba_d_head: int | Literal["auto"] = "auto"
    mamba_d_conv: int = Field(default=4, gt=1, le=64)
    mamba_expand: int = Field(default=2, gt=0, le=64)
    mamba_conv_bias: bool = True
    mamba_proj_bias: bool = False
    time_step_limit: tuple[float, float] | None = None

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        limit = values.get("time_step_limit")
        if isinstance(limit, (list, tuple)) and list(limit) in UNLIMITED:
            del values["time_step_limit"]

    @model_validator(mode="after")
    def _limits_fit(self) -> Self:
        if self.time_step_limit is not None and self.time_step_limit[0] > self.time_step_limit[1]:
            raise ValueError(
                f"time_step_limit {list(self.time_step_limit)} has its lower limit above the upper"
            )
        return self

    @property
    def inner(self) -> int:
        """Numbers that a mixer computes for a token, all heads together."""
        return self.mamba_expand * self.hidden_size

    def check_heads(self, told: str) -> None:
        """Raises ValueError where heads and groups do not divide `inner`, which is `told`."""
        heads, each = self.mamba_n_heads, self.mamba_d_head
        if self.inner % heads or each not in ("auto", self.inner // heads):
            raise ValueError(f"mamba_n_heads {heads} times mamba_d_head {each} is not {told}")
        if heads % self.mamba_n_groups:
            raise ValueError(
                f"mamba_n_groups {self.mamba_n_groups} does not divide mamba_n_heads {heads}"
            )

    def mixer(self) -> dict[str, Any]:
        """The keywords of `tramontane.blocks.Mamba2`."""
        return {
            "heads": self.mamba_n_heads,
            "d_head": self.inner // self.mamba_n_heads,
            "state": self.mamba_d_state,
            "groups": self.mamba_n_groups,
            "width": self.mamba_d_conv,
            "eps": self.rms_norm_eps,
            "bias": self.mamba_proj_bias,
            "conv_bias": self.mamba_conv_bias,
            "dt_limit": self.time_step_limit,
        }
