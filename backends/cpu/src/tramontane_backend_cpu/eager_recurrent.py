"""Eager fallback: the recorded step's recurrences for single blocks."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from tramontane.blocks import (
    DeltaRule,
    GeneralizedDeltaRule,
    SelectiveScan,
    ShortConv,
    TokenShift,
)
from tramontane.engine.batch import Batch

from .eager import alone
from .step.delta_rule import delta_rule_node
from .step.lower_recurrent import LOWERINGS
from .step.pool import Pool


def convolve(module: ShortConv, pool: Pool) -> Callable[..., Tensor]:
    """A drop-in for `recurrence.short_conv`, with the weights of this module."""

    def short_conv(
        x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor, batch: Batch
    ) -> Tensor:
        lowering, told = LOWERINGS["short_conv"], {"module": module}
        return alone(pool, ["short_conv"], lowering, [x], x.shape[1], batch, told)

    return short_conv


def correct(module: DeltaRule, pool: Pool) -> Callable[..., Tensor]:
    """A drop-in for `recurrence.delta_rule`, with the states of this module."""

    def delta_rule(
        q: Tensor, k: Tensor, v: Tensor, decay: Tensor, beta: Tensor | None, state: Tensor,
        batch: Batch, *, tiled: bool = False,
    ) -> Tensor:  # fmt: skip
        given, about = delta_rule_node(module, q, k, v, decay, beta)
        lowering, width = LOWERINGS["delta_rule"], about["heads"] * about["d_value"]
        return alone(pool, ["delta_rule"], lowering, given, width, batch, about).view(v.shape)

    return delta_rule


def select(module: SelectiveScan, pool: Pool) -> Callable[..., Tensor]:
    """A drop-in for `recurrence.selective_scan`, with the states of this module."""

    def selective_scan(
        x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor, batch: Batch
    ) -> Tensor:
        lowering, told = LOWERINGS["selective_scan"], {"module": module, "a": a}
        return alone(pool, ["selective_scan"], lowering, [x, dt, b, c], x.shape[1], batch, told)

    return selective_scan


def shift(module: TokenShift, pool: Pool) -> Callable[..., Tensor]:
    """A drop-in for `recurrence.token_shift`, with the state of this module."""

    def token_shift(x: Tensor, state: Tensor, batch: Batch) -> Tensor:
        lowering, told = LOWERINGS["token_shift"], {"module": module}
        return alone(pool, ["token_shift"], lowering, [x], x.shape[1], batch, told)

    return token_shift


def correct_generally(module: GeneralizedDeltaRule, pool: Pool) -> Callable[..., Tensor]:
    """A drop-in for `recurrence.generalized_delta_rule`, with the states of this module."""

    def generalized_delta_rule(
        q: Tensor, k: Tensor, v: Tensor, decay: Tensor, a: Tensor, b: Tensor, state: Tensor,
        batch: Batch,
    ) -> Tensor:  # fmt: skip
        name, (heads, d_value) = "generalized_delta_rule", v.shape[1:]
        about = {"module": module, "heads": heads, "d_value": d_value, "d_key": k.shape[2]}
        given, width = [q, k, v, decay, a, b], heads * d_value
        return alone(pool, [name], LOWERINGS[name], given, width, batch, about).view(v.shape)

    return generalized_delta_rule
