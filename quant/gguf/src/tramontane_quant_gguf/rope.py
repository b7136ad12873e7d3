"""Rotary embedding's settings, from GGUF's keys and helper tensors to config.json's `rope_scaling`.

Source: llama.cpp's loader, for what the keys mean; its yarn multiplies the attention factor by
0.1 ln(factor) + 1, which config.json's `attention_factor` includes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tramontane.config.rope_settings import rotary_part
from tramontane.errors import CheckpointError

Factors = Callable[[str], list[float] | None]
"""A helper tensor's numbers by its name, or None when the file has none."""


def rope_scaling(get: Callable[[str], Any], factors: Factors, path: Path) -> dict[str, Any] | None:
    """`rope_scaling` as config.json has it, or None. get: an architecture's key, or None.

    Raises CheckpointError for settings that the words of config.json cannot say.
    """
    kind = get("rope.scaling.type")
    factor = get("rope.scaling.factor") or get("rope.scale_linear")
    long, short = factors("rope_factors_long.weight"), factors("rope_factors_short.weight")
    trained = get("rope.scaling.original_context_length")
    if long is not None and short is not None:
        return _present(
            rope_type="longrope",
            long_factor=long,
            short_factor=short,
            original_max_position_embeddings=trained,
            attention_factor=get("rope.scaling.attn_factor"),
        )
    if (divisors := factors("rope_freqs.weight")) is not None:
        stretch = factor if factor and kind in (None, "linear") else 1.0
        return {"rope_type": "factors", "factors": [stretch * divisor for divisor in divisors]}
    if kind == "yarn":
        return _yarn(get, factor or 1.0, trained, path)
    if kind not in (None, "none", "linear", "longrope"):
        raise CheckpointError(
            f"{path}: rope.scaling.type={kind!r} is not supported "
            "(none, linear, yarn, longrope are)"
        )
    if kind == "longrope":
        raise CheckpointError(
            f"{path}: rope.scaling.type={kind!r} without the tensors rope_factors_*.weight"
        )
    if kind == "none" or factor in (None, 1.0):
        return None
    return {"rope_type": "linear", "factor": factor}


def _yarn(
    get: Callable[[str], Any], factor: float, trained: int | None, path: Path
) -> dict[str, Any]:
    if (extent := get("rope.scaling.yarn_ext_factor")) not in (None, 1.0, -1.0):
        raise CheckpointError(
            f"{path}: rope.scaling.yarn_ext_factor={extent} is not supported (1 is)"
        )
    attention = get("rope.scaling.yarn_attn_factor") or get("rope.scaling.attn_factor")
    if attention is not None:
        attention *= 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0
    # the multiplier is a tenth of mscale_all_dim, which models that have it set equal to mscale
    multiplier = get("rope.scaling.yarn_log_multiplier")
    mscale = round(10 * multiplier, 6) if multiplier else None
    return _present(
        rope_type="yarn",
        factor=factor,
        original_max_position_embeddings=trained,
        attention_factor=attention,
        beta_fast=get("rope.scaling.yarn_beta_fast"),
        beta_slow=get("rope.scaling.yarn_beta_slow"),
        mscale=mscale,
        mscale_all_dim=mscale,
    )


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def partial_rotary(config: Mapping[str, Any], rotated: int | None) -> float:
    """The part of a head that is rotated; all of it where the file does not say."""
    whole = config.get("head_dim")
    return rotary_part(rotated, whole) if rotated and whole else 1.0
