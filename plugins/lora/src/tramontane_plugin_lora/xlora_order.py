"""Ordering files, as mistral.rs has them: in which order a classifier knows adapters and layers.

    {"order": ["adapter_1", "adapter_2"], "layers": {"model.layers.0.self_attn.q_proj": 0, ...},
     "base_model_id": "org/name", "preload_adapters": [...]}

layers: numbers of the classifier's layers; left out where all have equal scalings. What
preload_adapters names belongs to no X-LoRA, and is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tramontane.errors import AdapterError
from tramontane.sanitize import one_line
from tramontane.tokenizer.json_file import SMALL, read_object

from .xlora_config import MOST_ADAPTERS


@dataclass(frozen=True)
class Ordering:
    """adapters: names. layers: by names of weights, "model.layers.0.self_attn.q_proj.weight"; None:
    it says nothing about them."""

    adapters: tuple[str, ...]
    layers: dict[str, int] | None


def read_order(path: Path) -> Ordering:
    """Raises AdapterError, CheckpointError."""
    if not path.is_file():
        raise AdapterError(f"no ordering file at {path}")
    told = read_object(path, SMALL)
    names: Any = told.get("order")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise AdapterError(f"{path}: order should be names of adapters, not {_shown(names)}")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise AdapterError(f"{path}: order names {_shown(twice)} twice")
    if len(names) > MOST_ADAPTERS:
        raise AdapterError(f"{path}: {len(names)} adapters are more than {MOST_ADAPTERS}")
    layers: Any = told.get("layers")
    if layers is None:
        return Ordering(tuple(names), None)
    if not isinstance(layers, dict) or not layers:
        raise AdapterError(f"{path}: layers should be numbers by names, not {_shown(layers)}")
    for name, number in layers.items():
        if type(number) is not int or number < 0:
            raise AdapterError(
                f"{path}: the layer {_shown(name)} should have a number from 0 on, not "
                f"{_shown(number)}"
            )
    return Ordering(
        tuple(names),
        {f"{name.removesuffix('.weight')}.weight": number for name, number in layers.items()},
    )


def _shown(value: Any) -> str:
    return one_line(repr(value), 60)
