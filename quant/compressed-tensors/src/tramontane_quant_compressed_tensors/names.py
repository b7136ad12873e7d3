"""Tensors that belong to the cache: scales of keys, values and queries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

CACHE = re.compile(r"(?:.*\.)?(?:[qkv]|kv)_(?:scale|zero_point|global_scale)")


def below_layers(name: str, config: Mapping[str, Any]) -> str | None:
    """A tensor's own name; None for those of `kv_cache_scheme`, which belong to no layer's matrix:
    `tramontane.checkpoint.cache_scales` reads them where the cache is of 8-bit floats."""
    return None if CACHE.fullmatch(name) else name
