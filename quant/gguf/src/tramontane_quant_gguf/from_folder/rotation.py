"""Rotary embedding's settings for a GGUF file: `rope.py` backwards.

llama.cpp multiplies yarn's attention factor by 0.1 ln(factor) + 1 itself.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from tramontane.config.rope_scaling import (
    Factors,
    Linear,
    Llama3,
    LongRope,
    Yarn,
    plain_frequencies,
)

from .families import Family


def rotation(cfg: Any, dim: int, family: Family) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Keys below the family's name, and tensors that are settings. dim: numbers that are rotated.

    Raises ValueError for what a file of the family cannot say.
    """
    scaling = cfg.rope_scaling
    if scaling is None:
        return {}, {}
    kind = getattr(scaling, "rope_type", type(scaling).__name__)
    if isinstance(scaling, Linear):
        return {"rope.scaling.type": "linear", "rope.scaling.factor": scaling.factor}, {}
    if isinstance(scaling, Yarn):
        return _yarn(scaling, family.yarn_multiplier), {}
    if isinstance(scaling, Llama3 | Factors) and family.freqs:
        plain = plain_frequencies(cfg.rope_theta, dim)
        return {}, {
            "rope_freqs.weight": plain / scaling.inverse_frequencies(cfg.rope_theta, dim, 1)
        }
    if isinstance(scaling, LongRope) and family.longrope:
        trained = scaling.original_max_position_embeddings or scaling.max_position_embeddings
        keys = {
            "rope.scaling.type": "longrope",
            "rope.scaling.original_context_length": trained,
            "rope.scaling.attn_factor": scaling.magnitude(trained + 1),
        }
        factors = {"long": scaling.long_factor, "short": scaling.short_factor}
        return keys, {
            f"rope_factors_{name}.weight": torch.tensor(each, dtype=torch.float32)
            for name, each in factors.items()
        }
    raise ValueError(f"rope_scaling of type {kind!r}")


def _yarn(scaling: Yarn, multiplier: float) -> dict[str, Any]:
    trained = scaling.original_max_position_embeddings or scaling.max_position_embeddings
    keys: dict[str, Any] = {
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": scaling.factor,
        "rope.scaling.original_context_length": trained,
        "rope.scaling.yarn_beta_fast": scaling.beta_fast,
        "rope.scaling.yarn_beta_slow": scaling.beta_slow,
    }
    if scaling.mscale_all_dim and scaling.mscale == scaling.mscale_all_dim:
        keys["rope.scaling.yarn_log_multiplier"] = multiplier * scaling.mscale_all_dim
        return keys
    own = 0.1 * math.log(scaling.factor) + 1.0 if scaling.factor > 1 else 1.0
    if not math.isclose(factor := scaling.magnitude(1) / own, 1.0, rel_tol=1e-6):
        keys["rope.scaling.yarn_attn_factor"] = keys["rope.scaling.attn_factor"] = factor
    return keys
