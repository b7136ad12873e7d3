"""The ways in which checkpoints stretch rotary embeddings, as config.json writes them.

Every kind answers two questions: the inverse frequencies for a context of some length, and the
factor on cos and sin. Formulas: linear (Chen et al. 2023, position interpolation), dynamic
(NTK-aware, from the length), yarn (Peng et al. 2023), llama3 (Meta's Llama 3.1), longrope (Ding
et al. 2024), factors (a divisor per frequency, as GGUF files carry them).
"""

from __future__ import annotations

import math
import reprlib
from typing import Annotated, ClassVar, Literal, Protocol, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from tramontane.errors import ConfigError

Positive = Annotated[float, Field(gt=0, strict=True)]
Factor = Annotated[float, Field(ge=1, strict=True)]
Count = Annotated[int, Field(gt=0, le=2**40, strict=True)]


class Scaling(Protocol):
    """What rotary embedding asks of a scaling."""

    grows: ClassVar[bool]
    """Whether the frequencies depend on how long the context is."""

    def inverse_frequencies(self, theta: float, dim: int, length: int) -> Tensor:
        """(dim / 2) float32, for a context of `length` tokens."""
        ...

    def magnitude(self, length: int) -> float:
        """The factor on cos and sin, for a context of `length` tokens."""
        ...


def plain_frequencies(theta: float, dim: int) -> Tensor:
    """1 / theta^(2i / dim), (dim / 2) float32."""
    return 1.0 / (theta ** (torch.arange(0, dim, 2, dtype=torch.int64).float() / dim))


class _Scaling(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    grows: ClassVar[bool] = False

    def magnitude(self, length: int) -> float:
        return 1.0


class Linear(_Scaling):
    rope_type: Literal["linear"]
    factor: Annotated[float, Field(ge=1e-3, strict=True)]

    def inverse_frequencies(self, theta: float, dim: int, length: int) -> Tensor:
        return plain_frequencies(theta, dim) / self.factor


class Dynamic(_Scaling):
    rope_type: Literal["dynamic"]
    factor: Factor
    max_position_embeddings: Count
    grows: ClassVar[bool] = True

    def inverse_frequencies(self, theta: float, dim: int, length: int) -> Tensor:
        trained = self.max_position_embeddings
        length = max(length, trained)
        base = (self.factor * length / trained) - (self.factor - 1)
        return plain_frequencies(theta * base ** (dim / (dim - 2)), dim)


class Yarn(_Scaling):
    rope_type: Literal["yarn"]
    factor: Factor
    max_position_embeddings: Count
    original_max_position_embeddings: Count | None = None
    attention_factor: Positive | None = None
    beta_fast: Positive = 32.0
    beta_slow: Positive = 1.0
    mscale: Positive | None = None
    mscale_all_dim: Positive | None = None
    truncate: bool = True

    def magnitude(self, length: int) -> float:
        if self.attention_factor is not None:
            return self.attention_factor
        if self.mscale and self.mscale_all_dim:
            return self.mscale_of(self.mscale) / self.mscale_of(self.mscale_all_dim)
        return self.mscale_of(1.0)

    def mscale_of(self, scale: float) -> float:
        """How much longer contexts than trained stretch scores, by a factor that a file states."""
        return 1.0 if self.factor <= 1 else 0.1 * scale * math.log(self.factor) + 1.0

    def inverse_frequencies(self, theta: float, dim: int, length: int) -> Tensor:
        trained = self.original_max_position_embeddings or self.max_position_embeddings

        def rotations_at(turns: float) -> float:
            return (dim * math.log(trained / (turns * 2 * math.pi))) / (2 * math.log(theta))

        low, high = rotations_at(self.beta_fast), rotations_at(self.beta_slow)
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, dim - 1)
        if low == high:
            high += 0.001
        ramp = ((torch.arange(dim // 2, dtype=torch.float32) - low) / (high - low)).clamp(0, 1)
        plain = plain_frequencies(theta, dim)
        return plain / self.factor * ramp + plain * (1 - ramp)


class Llama3(_Scaling):
    rope_type: Literal["llama3"]
    factor: Factor
    low_freq_factor: Positive
    high_freq_factor: Positive
    original_max_position_embeddings: Count

    def inverse_frequencies(self, theta: float, dim: int, length: int) -> Tensor:
        plain = plain_frequencies(theta, dim)
        trained, low, high = (
            self.original_max_position_embeddings,
            self.low_freq_factor,
            self.high_freq_factor,
        )
        wavelength = 2 * math.pi / plain
        smooth = (trained / wavelength - low) / (high - low)
        between = (1 - smooth) * plain / self.factor + smooth * plain
        scaled = torch.where(wavelength > trained / low, plain / self.factor, plain)
        medium = (wavelength <= trained / low) & (wavelength >= trained / high)
        return torch.where(medium, between, scaled)


class LongRope(_Scaling):
    rope_type: Literal["longrope", "su"]
    short_factor: tuple[float, ...]
    long_factor: tuple[float, ...]
    max_position_embeddings: Count
    original_max_position_embeddings: Count | None = None
    factor: Positive | None = None
    attention_factor: Positive | None = None
    short_mscale: Positive | None = None
    long_mscale: Positive | None = None
    grows: ClassVar[bool] = True

    @property
    def _trained(self) -> int:
        return self.original_max_position_embeddings or self.max_position_embeddings

    def magnitude(self, length: int) -> float:
        configured = self.long_mscale if length > self._trained else self.short_mscale
        if configured is not None:
            return configured
        if self.attention_factor is not None:
            return self.attention_factor
        factor = self.factor or self.max_position_embeddings / self._trained
        if factor <= 1:
            return 1.0
        return math.sqrt(1 + math.log(factor) / math.log(self._trained))

    def inverse_frequencies(self, theta: float, dim: int, length: int) -> Tensor:
        divisors = self.long_factor if length > self._trained else self.short_factor
        return _divided(theta, dim, divisors)


class Factors(_Scaling):
    rope_type: Literal["factors"]
    factors: tuple[float, ...]

    def inverse_frequencies(self, theta: float, dim: int, length: int) -> Tensor:
        return _divided(theta, dim, self.factors)


def check_scaling(scaling: Scaling, theta: float, dim: int, trained: int) -> None:
    """Whether a scaling gives usable numbers. Raises ConfigError.

    theta, dim: as for `inverse_frequencies`. trained: the context that the model is made for.
    """
    try:
        tables = [scaling.inverse_frequencies(theta, dim, n) for n in (1, trained, 2 * trained)]
        usable = all(bool((t.isfinite() & (t > 0)).all()) for t in tables)
        usable = usable and math.isfinite(scaling.magnitude(trained))
    except (ArithmeticError, ValueError):
        usable = False
    if not usable:
        raise ConfigError(
            f"rope_scaling={reprlib.repr(dict(scaling))} gives no usable frequencies "  # type: ignore[call-overload]
            f"with rope_theta={theta} for {dim} dimensions"
        )


def _divided(theta: float, dim: int, divisors: tuple[float, ...]) -> Tensor:
    if len(divisors) != dim // 2:
        raise ConfigError(f"rope_scaling has {len(divisors)} factors for {dim // 2} frequencies")
    return plain_frequencies(theta, dim) / torch.tensor(divisors, dtype=torch.float32)


RopeScaling: TypeAlias = Annotated[
    Linear | Dynamic | Yarn | Llama3 | LongRope | Factors, Field(discriminator="rope_type")
]
