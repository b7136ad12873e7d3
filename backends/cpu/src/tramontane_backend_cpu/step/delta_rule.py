"""What a node of the delta rule is told, recorded or by itself."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from tramontane.blocks import DeltaRule

from .graph import CannotRecord


def delta_rule_node(
    module: DeltaRule, q: Tensor, k: Tensor, v: Tensor, decay: Tensor, beta: Tensor | None
) -> tuple[list[Tensor], dict[str, Any]]:
    """Its inputs, in the order of the kernel's, and its settings. A decay that is the same for all
    tokens is a setting: a constant of heads."""
    fixed = decay if decay.dim() == 1 else None
    if fixed is not None and fixed.device.type != "cpu":
        raise CannotRecord("a delta rule whose constant decay is made within the step")
    (key_heads, d_key), (heads, d_value) = k.shape[1:], v.shape[1:]
    given = [q, k, v, *([decay] if fixed is None else []), *([] if beta is None else [beta])]
    about = {
        "module": module, "heads": heads, "d_value": d_value, "key_heads": key_heads,
        "d_key": d_key, "keyed": decay.dim() == 3, "fixed": fixed, "corrects": beta is not None,
    }  # fmt: skip
    return given, about
