"""What the configuration says of a layer's weights: qint2, qint4, qint8 or a qfloat8.

optimum-quanto has a map beside the model (quanto_qmap.json, quantization_map.json):
    {"model.layers.0.mlp.up_proj": {"weights": "qint4", "activations": "none"}, ...}
and transformers a quantization_config for all layers: {"weights": "int4", "activations": null}.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

import torch
from tramontane.errors import CheckpointError
from tramontane.sanitize import one_line

WHOLE = {
    "qint8": torch.int8,
    "qfloat8_e4m3fn": torch.float8_e4m3fn,
    "qfloat8_e4m3fnuz": torch.float8_e4m3fnuz,
    "qfloat8_e5m2": torch.float8_e5m2,
}
"""Types of weights that are stored one in a byte."""
PACKED = {"qint4": 4, "qint2": 2}
"""Bits of those that are packed."""
SHORT = {"int8": "qint8", "int4": "qint4", "int2": "qint2", "float8": "qfloat8_e4m3fn"}
"""As transformers says them. `qfloat8` is quanto's own short name."""


def weights_of(config: Mapping[str, Any], path: str) -> str | None:
    """The type of a layer's weights; None where nothing is said. Raises CheckpointError."""
    own = config.get(path)
    said = own.get("weights") if isinstance(own, Mapping) else config.get("weights")
    if said is None or said == "none":
        return None
    name = SHORT.get(said, said) if isinstance(said, str) else said
    name = "qfloat8_e4m3fn" if name == "qfloat8" else name
    if not isinstance(name, str) or name not in (*WHOLE, *PACKED):
        value = one_line(reprlib.repr(said), 60)
        raise CheckpointError(
            f"{path}: weights={value} is not one of {', '.join((*PACKED, *WHOLE, *SHORT))}"
        )
    return name
