"""A step's rows: the tokens of each sequence's piece, and of which the logits are wanted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from .batch import Batch
from .kv_cache import BLOCK_SIZE, KVCache
from .sequence import Sequence

if TYPE_CHECKING:
    from tramontane.blocks import CausalLM

log = logging.getLogger(__name__)
Rows = np.ndarray[tuple[int, int], np.dtype[np.float32]]


def extents_matter(model: nn.Module) -> bool:
    """Whether a rotation depends on the whole prompt's length, so that equal beginnings of prompts
    are not equal."""
    return any(
        rope.scaling is not None and rope.scaling.grows
        for module in model.modules()
        if (rope := getattr(module, "rope", None)) is not None
    )


def wanted_rows(sequence: Sequence, count: int) -> range:
    """Offsets of a sequence's next `count` tokens, drafts included, whose logits are needed."""
    if sequence.scores and sequence.computed < len(sequence.request.prompt):
        return range(count)
    return range(sequence.awaited(count - len(sequence.drafts)).start, count)


def rows_of(
    work: list[tuple[Sequence, int]], wanted: list[range], cache: KVCache
) -> tuple[list[int], Batch]:
    """The tokens of a step, and its batch."""
    tokens: list[int] = []
    pieces = []
    for (sequence, count), offsets in zip(work, wanted, strict=True):
        first, own = sequence.computed, count - len(sequence.drafts)
        tokens += sequence.tokens[first : first + own]
        tokens += sequence.drafts
        if cache.windows:
            last = (first + count - 1) // BLOCK_SIZE
            cache.ready(sequence.blocks[first // BLOCK_SIZE : last + 1])
        pieces.append((first, count, len(sequence.request.prompt), sequence.blocks, offsets))
    return tokens, Batch.of(pieces, cache, [sequence.slot or 0 for sequence, _ in work])


def warm(model: CausalLM, cache: KVCache) -> None:
    """A step of one token."""
    blocks, slot = cache.take(1), cache.states.take()
    try:
        model.step([0], Batch.of([(0, 1, 1, blocks, [0])], cache, [slot]))
    except Exception as error:  # noqa: BLE001 - the request that meets it is told
        log.debug("the first step failed: %s", error)
    finally:
        cache.give_back(blocks)
        cache.states.give_back(slot)
