"""Decoders that were saved without their matrix for logits, as those for vectors are: they have the
name of the class below, and tensors without "model."."""

from __future__ import annotations

from tramontane.registry import Registry

from .checkpoint import Checkpoint
from .folder import FolderCheckpoint

BARE, WHOLE = "Model", "ForCausalLM"
BELOW = "model."
FIRST = "embed_tokens.weight"


def completed(checkpoint: Checkpoint, registry: Registry) -> Checkpoint:
    """A checkpoint of a bare decoder as one of the whole model; any other as it is."""
    if not isinstance(checkpoint, FolderCheckpoint):
        return checkpoint
    header = checkpoint.header
    name = header.architecture
    offered = registry.names("architectures")
    if name.endswith(BARE) and name not in offered:
        name = name.removesuffix(BARE) + WHOLE
    below = FIRST in header.tensors and not any(each.startswith(BELOW) for each in header.tensors)
    if name.endswith(WHOLE) and name in offered and below:
        checkpoint.put_below(BELOW, name)
    return checkpoint
