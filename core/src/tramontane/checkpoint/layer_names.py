"""Names of a quantized checkpoint's tensors, each below the path of the layer it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tramontane.errors import CheckpointError, PluginBroken
from tramontane.plugin import Quantizer, load
from tramontane.sanitize import one_line

from .checkpoint import Header


def names_below_layers(
    header: Header, offer: Quantizer, settings: dict[str, Any]
) -> dict[str, str]:
    """The file's names of the tensors that are kept, by those that the format gives them.

    Raises CheckpointError for two that get one name, PluginBroken for a format in error."""
    if offer.names is None:
        return {name: name for name in header.tensors}
    rename, found = load(offer.names), dict[str, str]()
    for name in header.tensors:
        try:
            new = rename(name, settings)
        except CheckpointError:
            raise
        except Exception as error:
            raise PluginBroken(
                f"the quantizer {offer.name!r}: names={offer.names}: {one_line(repr(error))}"
            ) from error
        if not (new is None or isinstance(new, str)):
            raise PluginBroken(
                f"the quantizer {offer.name!r}: names={offer.names} returned "
                f"{one_line(repr(new), 60)} for {one_line(name)}; it must return a name or None"
            )
        if new in found:
            raise CheckpointError(
                f"{header.path}: {one_line(found[new])} and {one_line(name)} are both {new}"
            )
        if new is not None:
            found[new] = name
    return found


def renamed(header: Header, file_names: Mapping[str, str]) -> Header:
    """The same header with the new names, and without the tensors that are left out."""
    tensors = {name: header.tensors[held] for name, held in file_names.items()}
    return replace(header, tensors=tensors)
