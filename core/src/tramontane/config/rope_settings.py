"""Where configurations have their rotary settings: beside each other, or inside one key.

Transformers before 5 has `rope_theta` and `partial_rotary_factor` beside `rope_scaling`; 5 writes
all of them as `rope_parameters`. Source: transformers 5.23, `convert_rope_params_to_dict`.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from typing import Any

INSIDE = ("rope_theta", "partial_rotary_factor")
"""What stands beside `rope_scaling`, and inside `rope_parameters`."""


def rotary_part(rotated: int, whole: int) -> float:
    """`partial_rotary_factor` of heads of `whole` numbers, `rotated` of which are rotated.

    rotated / whole may be rounded so that int(whole * part) is one less; this never is.
    """
    part = rotated / whole
    return math.nextafter(part, math.inf) if int(whole * part) < rotated else part


def read_rope(values: dict[str, Any]) -> None:
    """Put rotary settings where the fields are; what is inside goes before what is beside.

    Raises ValueError when `rope_scaling` and `rope_parameters` say different things.
    """
    beside = {name: values[name] for name in INSIDE if name in values}
    groups = [values.pop(key, None) for key in ("rope_scaling", "rope_parameters")]
    groups = [{} if settings is None else settings for settings in groups]
    for settings in groups:
        if not isinstance(settings, Mapping):
            values["rope_scaling"] = settings  # refused by that name
            return
    scaling, parameters = ({**beside, **_named(settings)} for settings in groups)
    if all(groups) and scaling != parameters:
        raise ValueError(
            f"rope_scaling and rope_parameters differ: {reprlib.repr(scaling)} and "
            f"{reprlib.repr(parameters)}; leave the wrong one out of config.json"
        )
    settings = scaling if groups[0] else parameters
    values.update({name: settings.pop(name) for name in INSIDE if name in settings})
    if settings and settings.get("rope_type") != "default":
        values["rope_scaling"] = settings


def overridden(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with other values for some keys, rotary settings wherever they stand.

    With another `rope_scaling`, what is inside `rope_parameters` beside the scaling stays.
    """
    merged = {**values, **changes}
    inside = values.get("rope_parameters")
    if not isinstance(inside, Mapping) or "rope_parameters" in changes:
        return merged
    if isinstance(inside.get("full_attention"), Mapping):  # settings for each kind of layer
        inside = inside["full_attention"]
        merged["rope_parameters"] = {
            **values["rope_parameters"],
            "full_attention": {k: v for k, v in inside.items() if k not in changes},
        }
    else:
        merged["rope_parameters"] = {k: v for k, v in inside.items() if k not in changes}
    if "rope_scaling" in changes:
        kept = {name: inside[name] for name in INSIDE if name in inside}
        merged = {**values, **kept, **changes, "rope_parameters": None}
    return merged


def _named(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are not null, with `type` under its newer name `rope_type`."""
    named = {key: value for key, value in settings.items() if value is not None}
    if "type" in named:
        named.setdefault("rope_type", named["type"])
        del named["type"]
    return named


def complete_scaling(values: dict[str, Any]) -> None:
    """Lengths that stand beside `rope_scaling` in some checkpoints and inside it in others."""
    scaling = values.get("rope_scaling")
    if isinstance(scaling, Mapping):
        beside = {
            key: values[key]
            for key in ("max_position_embeddings", "original_max_position_embeddings")
            if values.get(key) is not None
        }
        values["rope_scaling"] = {"max_position_embeddings": 2048, **scaling, **beside}
