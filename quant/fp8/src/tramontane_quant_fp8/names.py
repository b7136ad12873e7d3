"""Names of tensors below the layer that they belong to.

Stacked experts are a parameter without `.weight`: the scales of `experts.gate_up_proj` are called
`experts.gate_up_proj_scale_inv`, which here is `experts.gate_up_proj.scale_inv`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

STACKED = re.compile(
    r"(.*\.experts\.(?:gate_up|gate|up|down)_proj)_((?:weight_|input_|activation_)?scale(?:_inv|_2|_ub)?)"
)
CACHE = re.compile(r"(?:.*\.)?(?:[qkv]|kv|prob_output|softmax)_scale")


def below_layers(name: str, config: Mapping[str, Any]) -> str | None:
    """A tensor's name below its layer's path; None for scales of the cache, which belong to
    no layer's matrix: `tramontane.checkpoint.cache_scales` reads them."""
    if CACHE.fullmatch(name):
        return None
    stacked = STACKED.fullmatch(name)
    return f"{stacked[1]}.{stacked[2]}" if stacked else name
