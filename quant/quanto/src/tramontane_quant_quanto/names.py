"""Which tensors are part of the model: all but the scales of activations.

quanto stores `input_scale` and `output_scale` for each module that it took over, norms too; they
are 1 unless activations are quantized. Activations keep the precision that they have for any other
model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def of_the_model(name: str, config: Mapping[str, Any]) -> str | None:
    """The same name; None for a scale of activations."""
    return None if name.endswith((".input_scale", ".output_scale")) else name
