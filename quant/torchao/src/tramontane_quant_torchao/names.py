"""Names of tensors below the matrix that they belong to.

torchao saves the parts of a parameter `a.weight` as `a._weight_qdata`, `a._weight_scale`, and those
of stacked experts, which have no `.weight`, as `a.experts._down_proj_qdata`. Version 0.14 saved
them as `a.weight:qdata`, and a plain parameter as `a.weight:_data`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PARTS = (
    "act_quant_zero_point", "act_quant_scale", "act_per_tensor_scale", "act_pre_scale",
    "per_tensor_scale", "scale_and_zero", "zero_point", "qdata", "scale",
)  # fmt: skip
NAMED = re.compile(rf"(?P<module>.+)\._(?P<name>[^.]+?)_(?P<part>{'|'.join(PARTS)})")


def below_layers(name: str, config: Mapping[str, Any]) -> str:
    """`a.weight.qdata` for either name of it, `a.weight` for a plain one; others as they are."""
    matrix, colon, part = name.rpartition(":")
    if colon:
        return matrix if part == "_data" else f"{matrix}.{part}"
    if found := NAMED.fullmatch(name):
        return f"{found['module']}.{found['name']}.{found['part']}"
    return name
