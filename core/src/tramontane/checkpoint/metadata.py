"""A container's metadata as an architecture's own fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tramontane.errors import CheckpointError, PluginBroken, TramontaneError
from tramontane.plugin import Architecture, load
from tramontane.sanitize import one_line
from tramontane.target_call import call

from .checkpoint import Header

FILE = "file"
"""The dialect of a file of weights without a configuration."""


def fields_of(architecture: Architecture, header: Header) -> Mapping[str, Any]:
    """The configuration of a checkpoint, with what the architecture reads from its metadata.

    Raises CheckpointError for metadata that the architecture cannot read, PluginBroken for what is
    no mapping.
    """
    if architecture.metadata is None or not (header.metadata or header.dialect == FILE):
        return header.config
    told: Any = architecture.metadata
    if isinstance(told, str):
        told = load(told)
    if callable(told):
        try:
            found = call(
                told,
                {"metadata": header.metadata},
                config=dict(header.config),
                tensors=header.tensors,
            )
        except TramontaneError:
            raise
        except Exception as error:
            raise CheckpointError(
                f"{header.path}: {architecture.name} cannot read its metadata: "
                f"{one_line(repr(error), 200)}"
            ) from error
    elif isinstance(told, Mapping):
        there = {key: field for key, field in told.items() if key in header.metadata}
        found = {field: header.metadata[key] for key, field in there.items()}
    else:
        found = told
    if not isinstance(found, Mapping):
        raise PluginBroken(
            f"the architecture {architecture.name!r}: metadata={architecture.metadata!r} gives "
            f"{type(found).__name__}; it must give a mapping"
        )
    return {**header.config, **{field: _plain(value) for field, value in found.items()}}


def _plain(value: Any) -> Any:
    """Arrays as tuples."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | list | tuple):
        return tuple(value)
    return value
