"""Layouts as kernels read them: groups of 16 or of whole units, scales of one level or of two.

What a layout says beyond that is put into its scales when it is packed:

    scale / super_scale             scale * (1 / super_scale)
    scale * factor                  (factor * scale), or (factor * super_scale)
    zeros and minimums of groups    minimum - scale * zero
    two levels that do not fit      super_scale * scale, in float32
    groups of 48, 80, ... columns   groups of 16, with their scales repeated
    one group of a whole row        a group of whole units: the columns that are missing are 0
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

from torch import Tensor
from tramontane.layouts import Affine, Codebook, two_level

from .vector.tiles import UNIT

Coded: TypeAlias = Affine | Codebook
HALF = UNIT // 2


def has_groups(weight: Coded) -> bool:
    """Whether its groups are, or can be made, what kernels read."""
    groups = weight.scale.shape[1]
    return weight.group % HALF == 0 or groups == 1


def regular(weight: Coded) -> Coded:
    """The same matrix (rows, columns) in fields that kernels read."""
    weight = _one_level(_multiplied(weight))
    if (
        isinstance(weight, Affine)
        and isinstance(weight.zero, Tensor)
        and weight.minimum is not None
    ):
        offset = two_level(weight.minimum, weight.super_minimum)
        moved = offset - two_level(weight.scale, weight.super_scale) * weight.zero.float()
        changed: dict[str, Any] = {"zero": 0, "minimum": moved}
        weight = replace(_flat(weight), **changed)
    groups = weight.scale.shape[1]
    if groups == 1 and weight.group % UNIT:
        return (
            weight if weight.group == HALF else _regrouped(weight, -(-weight.group // UNIT) * UNIT)
        )
    if weight.group % UNIT and weight.group != HALF:
        return _regrouped(_flat(weight), HALF)
    return weight


def _multiplied(weight: Coded) -> Coded:
    """Without divisors and factors."""
    if isinstance(weight, Codebook):
        if not weight.super_divides:
            return weight
        above = weight.super_scale
        assert above is not None
        return replace(weight, super_scale=1 / above.float(), super_divides=False)
    if weight.factor == 1:
        return weight
    if weight.super_scale is not None:
        return replace(weight, super_scale=weight.super_scale.float() * weight.factor, factor=1.0)
    return replace(weight, scale=weight.scale.float() * weight.factor, factor=1.0)


def _one_level(weight: Coded) -> Coded:
    """With one level, where two do not come in whole units or only one number of two has both."""
    above = weight.super_scale
    if isinstance(weight, Affine) and weight.minimum is not None:
        least = weight.super_minimum
        if (above is None) != (least is None):
            return _flat(weight)
        if above is not None and least is not None:
            if above.shape != least.shape:
                return _flat(weight)
            if above.dtype != least.dtype:
                weight = replace(weight, super_scale=above.float(), super_minimum=least.float())
    if above is None or above.shape[1] == 1:
        return weight
    whole = weight.shape[1] // above.shape[1]
    fits = whole % UNIT == 0 and (weight.group == HALF or weight.group % UNIT == 0)
    return weight if fits else _flat(weight)


def _flat(weight: Coded) -> Coded:
    """With one level, in float32."""
    changed: dict[str, Any] = {}
    for name in ("scale", "minimum"):
        value, above = getattr(weight, name, None), getattr(weight, f"super_{name}", None)
        if value is not None and above is not None:
            changed |= {name: two_level(value, above), f"super_{name}": None}
    return replace(weight, **changed) if changed else weight


def _regrouped(weight: Coded, group: int) -> Coded:
    """In smaller groups, or in one that goes on beyond the row."""
    times = weight.group // group
    changed: dict[str, Any] = {"group": group}
    for name in ("scale", "minimum", "zero"):
        value = getattr(weight, name, None)
        if isinstance(value, Tensor) and times > 1:
            changed[name] = value.repeat_interleave(times, 1)
    return replace(weight, **changed)
