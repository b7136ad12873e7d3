"""From the options to what becomes of each matrix, and what the memory plan counts."""

from __future__ import annotations

from dataclasses import replace

from tramontane.checkpoint.build import Built
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.errors import UsageError
from tramontane.registry import Registry

from .choices import Asked, Choices, bytes_after, choose, types_stored
from .choose_kind import Runs
from .importance import read_importance, refuse_unused
from .in_place import Quantizing
from .kinds import installed_kinds
from .topology import Topology


def quantizing_of(
    options: LoadOptions,
    registry: Registry,
    built: Built,
    runs: Runs,
    topology: Topology | None,
) -> Quantizing | None:
    """What the options ask for; None if they ask for nothing. runs: which kinds the device has
    kernels for. topology: of the options.

    Raises PluginError, UsageError, CheckpointError.
    """
    if options.isq is None and (topology is None or not topology.quantizes):
        if options.imatrix is not None:
            raise UsageError("--imatrix says how to quantize: give --isq too")
        return None
    asked = Asked(options.isq, options.isq_organization, topology)
    header, wanted = built.checkpoint.header, built.wanted
    kinds = installed_kinds(registry)
    choices = choose(asked, wanted, types_stored(header, built.sources), built.model, kinds, runs)
    importance = options.importance
    if options.imatrix is not None:
        importance = read_importance(options.imatrix, registry)
    if importance and not importance.keys() & {path.removesuffix(".weight") for path in wanted}:
        raise UsageError(f"{options.imatrix}: it has no matrix of {header.path}: another model's")
    refuse_unused(importance, choices.kinds.values())
    return Quantizing(str(asked), choices, importance, options.threads)


def planned(built: Built, choices: Choices) -> Header:
    """The header as the memory plan counts it: with the bytes that tensors will have."""
    header = built.checkpoint.header
    tensors = dict(header.tensors)
    for tensor, (kind, size) in bytes_after(
        header, built.sources, built.wanted, choices.kinds
    ).items():
        tensors[tensor] = TensorInfo(tensors[tensor].shape, kind, size)
    return replace(header, tensors=tensors)
