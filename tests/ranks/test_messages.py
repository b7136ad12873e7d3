"""What rank 0 tells the others arrives as it was; what is no message ends the group."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tramontane.engine.batch import Batch, MediaInput
from tramontane.engine.kv_cache import KVCache
from tramontane.parallel.group import PeerLost
from tramontane.parallel.message import HIDDEN, STEP, Copies, Told, simple, step_message
from tramontane.testing.random_model import random_model
from tramontane.testing.tiny_model import TINY


@pytest.fixture(scope="module")
def cache() -> KVCache:
    return KVCache(random_model(TINY), 8, torch.float32, torch.device("cpu"))


def batch_of(cache: KVCache) -> Batch:
    pieces = [(3, 2, 5, [4, 1], [0, 1]), (0, 3, 3, [2], [2])]
    batch = Batch.of(pieces, cache, [1, 0])
    batch.spans[0].mutual = [(1, 4)]
    batch.spans[1].ahead = 2
    batch.place(batch.spans[1], np.arange(9).reshape(3, 3))
    batch.media = MediaInput([2, 4], torch.randn(2, 6))
    return batch


def test_a_step_arrives_as_it_was(cache: KVCache) -> None:
    batch = batch_of(cache)
    copies = Copies([(1, 2)], [(0, 3)])
    told = Told.of(step_message(STEP, [9, 8, 7, 6, 5], batch, copies))
    tokens, found = told.step(cache)
    assert (told.kind, tokens) == (STEP, [9, 8, 7, 6, 5])
    assert told.about["copies"] == [[[1, 2]], [[0, 3]]]
    assert found.numbers == batch.numbers
    for one, other in zip(found.spans, batch.spans, strict=True):
        assert list(one.blocks) == list(other.blocks)
        assert [tuple(each) for each in one.mutual] == [tuple(each) for each in other.mutual]
        assert (one.start, one.count, one.length) == (other.start, other.count, other.length)
        assert (one.slot, one.ahead, one.first) == (other.slot, other.ahead, other.first)
    assert torch.equal(found.sections(3), batch.sections(3))
    assert found.media is not None
    assert batch.media is not None
    assert found.media.index == batch.media.index
    assert torch.equal(found.media.rows, batch.media.rows)  # type: ignore[arg-type]


def test_a_step_without_media_or_sections(cache: KVCache) -> None:
    batch = Batch.of([(0, 1, 1, [0], [0])], cache)
    batch.adapted = True
    tokens, found = Told.of(step_message(HIDDEN, [3], batch, Copies())).step(cache)
    assert (tokens, found.media, found.placed, found.adapted) == ([3], None, False, True)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 40, simple(9), simple(STEP)[:-3]])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(PeerLost, match="no message"):
        Told.of(data)
