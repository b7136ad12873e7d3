"""One matrix of numbers becomes a layout, by the target of a kind's quantizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tramontane.checkpoint.layout_checks import check_layout
from tramontane.errors import PluginBroken
from tramontane.layouts import Layout
from tramontane.plugin import load
from tramontane.sanitize import one_line
from tramontane.target_call import call

from .kinds import Kind

LAYER = "layer"
"""The path of a layer that is encoded for itself, without a checkpoint."""


def make_layout(kind: Kind, weight: Tensor, importance: Tensor | None = None) -> Layout:
    """weight: (rows, columns) float32; importance: (columns) float32 -> the layout.

    Raises ValueError for a shape that the kind cannot have, PluginBroken.
    """
    offer = kind.offer
    if offer.quantize is not None:
        given = {"weight": weight, "kind": kind.name}
        layout = _called(kind, "quantize", offer.quantize, given, importance)
    else:
        tensors = encode(kind, weight, importance)
        assert offer.translate is not None
        given = {"tensors": tensors, "config": settings(kind, {LAYER: kind.name})}
        optional = {"path": LAYER, "shape": tuple(weight.shape)}
        layout = call(load(offer.translate), given, **optional)
    if why := check_layout(layout, tuple(weight.shape)):
        raise PluginBroken(f"the quantizer {offer.name!r} made {kind.name} of a matrix: {why}")
    return layout  # type: ignore[no-any-return]


def encode(kind: Kind, weight: Tensor, importance: Tensor | None = None) -> dict[str, Tensor]:
    """The tensors of a layer as the format stores them. Arguments and errors as above."""
    assert kind.offer.encode is not None
    given = {"weight": weight, "kind": kind.name}
    found = _called(kind, "encode", kind.offer.encode, given, importance)
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise PluginBroken(
            f"the quantizer {kind.offer.name!r}: encode={kind.offer.encode} returned "
            f"{type(found).__name__}; it must return a dict of tensors"
        )
    return found


def settings(kind: Kind, kinds: Mapping[str, str]) -> dict[str, Any]:
    """The `quantization_config` of layers that `encode` made. kinds: by their paths."""
    if kind.offer.settings is None:
        raise PluginBroken(
            f"the quantizer {kind.offer.name!r} has encode= and no settings=, which says what "
            "config.json has to"
        )
    return dict(load(kind.offer.settings)(dict(kinds)))


def can_make(kind: Kind, rows: int, columns: int) -> bool:
    """Whether a matrix of so many rows and columns can have the kind: tried out."""
    generator = torch.Generator().manual_seed(0)
    try:
        make_layout(kind, torch.randn(rows, columns, generator=generator))
    except ValueError:
        return False
    return True


def _called(
    kind: Kind, role: str, target: str, given: Mapping[str, Any], importance: Tensor | None
) -> Any:
    function = load(target)
    try:
        return call(function, given, importance=importance)
    except (ValueError, PluginBroken):
        raise
    except Exception as error:
        shape = tuple(given["weight"].shape)
        raise PluginBroken(
            f"the quantizer {kind.offer.name!r}: {role}={target} cannot make {kind.name} of a "
            f"matrix {shape}: {one_line(repr(error))}"
        ) from error
