"""Tensors that belong to the cache: scales of keys, values and queries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

CACHE = re.compile(r"(?:.*\.)?(?:[qkv]|kv)_(?:scale|zero_point|global_scale)")


def below_layers(name: str, config: Mapping[str, Any]) -> str | None:
    """A tensor's own name; None for those of `kv_cache_scheme`, which is not used: keys and values
    are not rounded to the format that the model was calibrated for."""
    return None if CACHE.fullmatch(name) else name
