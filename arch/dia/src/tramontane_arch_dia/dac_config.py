"""The configuration of DAC, and how far its convolutions see."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

from pydantic import Field, model_validator
from tramontane.config.decoder import ModelConfig

DILATIONS = (1, 3, 9)
"""Of the residual units of a block."""
UNITS = sum(3 * each for each in DILATIONS)
"""Samples to either side that a block's residual units see."""


class DacConfig(ModelConfig):
    """The fields of `config.json`, with the defaults of DAC for 44.1 kHz."""

    encoder_hidden_size: int = Field(default=64, gt=0, le=2**12, strict=True)
    decoder_hidden_size: int = Field(default=1536, gt=0, le=2**14, strict=True)
    downsampling_ratios: tuple[int, ...] = Field(default=(2, 4, 8, 8), min_length=1, max_length=8)
    n_codebooks: int = Field(default=9, gt=0, le=64, strict=True)
    codebook_size: int = Field(default=1024, gt=0, le=2**16, strict=True)
    codebook_dim: int = Field(default=8, gt=0, le=2**10, strict=True)
    sampling_rate: int = Field(default=44_100, ge=1000, le=768_000, strict=True)

    @model_validator(mode="after")
    def _ratios(self) -> DacConfig:
        ratios = self.downsampling_ratios
        if not all(0 < each <= 64 and each % 2 == 0 for each in ratios):
            raise ValueError(f"downsampling_ratios {ratios}: even numbers up to 64 are supported")
        if self.decoder_hidden_size % 2 ** len(ratios):
            raise ValueError(
                f"decoder_hidden_size {self.decoder_hidden_size} cannot be halved {len(ratios)} "
                "times"
            )
        return self

    @property
    def hop(self) -> int:
        """Samples of a frame."""
        return math.prod(self.downsampling_ratios)

    @property
    def hidden(self) -> int:
        """Numbers of a frame between encoder and decoder."""
        return self.encoder_hidden_size << len(self.downsampling_ratios)

    @property
    def decoder_reach(self) -> int:
        """Frames to either side that a decoded sample depends on, at most."""
        rates = list(accumulate(self.downsampling_ratios[::-1], lambda a, b: a * b, initial=1))
        seen = Fraction(3 + 1) + sum(Fraction(UNITS + 1, rate) for rate in rates[1:])
        return math.ceil(seen + Fraction(2, self.hop))

    @property
    def encoder_reach(self) -> int:
        """Frames to either side of whose samples a code depends, at most."""
        strides = list(accumulate(self.downsampling_ratios, lambda a, b: a * b, initial=1))
        seen = sum(Fraction(UNITS * a + 2 * b, self.hop) for a, b in pairwise(strides))
        return math.ceil(seen + Fraction(3, self.hop) + 1)


def config_of(values: Mapping[str, Any]) -> DacConfig:
    """Of a folder's config.json. Raises ConfigError."""
    from tramontane.config import read_config

    told = {key: value for key, value in values.items() if value is not None}
    if isinstance(told.get("downsampling_ratios"), list):
        told["downsampling_ratios"] = tuple(told["downsampling_ratios"])
    return read_config(DacConfig, {"sampling_rate": 16_000, **told})
