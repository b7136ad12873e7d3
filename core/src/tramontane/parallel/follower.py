"""The other ranks: each does what rank 0 tells, until it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tramontane.engine.kv_cache import KVCache

from .group import Group, PeerLost
from .message import BEAT, BEGIN, END, HIDDEN, Told

if TYPE_CHECKING:
    from tramontane.checkpoint.load import Loaded


def follow(group: Group, loaded: Loaded) -> None:
    """Compute this rank's part of every step. Returns when rank 0 ends; raises PeerLost where a
    rank is lost."""
    begin = Told.of(group.broadcast(None))
    if begin.kind != BEGIN:
        raise PeerLost("rank 0 did not say what caches there are")
    model = loaded.model
    cache = KVCache(
        model,
        int(begin.about["blocks"]),
        loaded.kv_dtype,
        torch.device(loaded.device.torch_device),
        remember=False,
        state_slots=int(begin.about["slots"]),
        whole=True,
    )
    while True:
        told = Told.of(group.broadcast(None))
        if told.kind == END:
            return
        if told.kind == BEAT:
            continue
        blocks, states = told.about["copies"]
        for source, target in blocks:
            cache.copy(source, target)
        for source, target in states:
            cache.states.copy(source, target)
        tokens, batch = told.step(cache)
        if told.kind == HIDDEN:
            model.last_hidden(tokens, batch)
        else:
            model.step(tokens, batch)
