"""What each of several ranks would have of a model, without reading a weight."""

from __future__ import annotations

from tramontane.checkpoint.build import build_for
from tramontane.checkpoint.checkpoint import Checkpoint
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.plan import in_memory
from tramontane.memory import readable
from tramontane.registry import Registry

from .late_group import LateGroup
from .split_model import split_model


def foresee_shares(
    checkpoint: Checkpoint, registry: Registry, options: LoadOptions, size: int
) -> list[str]:
    """For people, one line for each of `size` ranks, and one more of what all have. Raises as
    `load_model`."""
    import torch

    from tramontane.engine.kv_cache import bytes_per_token

    found: list[str] = []
    for rank in range(size):
        built = build_for(checkpoint, registry, options.overrides)
        share = split_model(built, LateGroup(rank, size))
        header = share.header(built.checkpoint.header, built.sources)
        held = sum(in_memory(one, torch.float32, options) for one in header.tensors.values())
        each = readable(bytes_per_token(built.model, torch.float16))
        first, *more = share.lines()
        if not rank:
            found = [first.partition(": ")[2], *map(str.strip, more)]
        found.append(f"rank {rank}: {readable(held)} of weights, {each} a token in f16")
    return found
