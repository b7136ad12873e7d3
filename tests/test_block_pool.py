"""The cache's blocks: every one is held by whom it should be, whatever the order of events."""

from __future__ import annotations

import random

import pytest
from tramontane.engine.block_pool import BlockPool, chained, root
from tramontane.engine.kv_size import memory_of
from tramontane.engine.prefill_budget import FEWEST, Pace
from tramontane.errors import ConfigError, NotEnoughMemory


def test_a_block_known_and_left_is_found_and_held_again() -> None:
    pool = BlockPool(4)
    first, second = pool.take(2)
    pool.learn(first, b"a")
    pool.learn(second, b"b")
    pool.give_back([first, second])
    assert pool.free == 4
    assert pool.find([b"a", b"b", b"c"]) == [first, second]
    assert pool.find([b"c", b"a"]) == []
    pool.hold([first])
    assert pool.free == 3
    assert first not in pool.take(3)


def test_the_least_recently_used_is_evicted_and_ends_before_beginnings() -> None:
    pool = BlockPool(4)
    old = pool.take(2)
    for block, digest in zip(old, (b"old 0", b"old 1"), strict=True):
        pool.learn(block, digest)
    pool.give_back(old)
    new = pool.take(2)
    for block, digest in zip(new, (b"new 0", b"new 1"), strict=True):
        pool.learn(block, digest)
    pool.give_back(new)
    pool.take(1)
    assert pool.find([b"old 0", b"old 1"]) == old[:1]
    pool.take(2)
    assert pool.find([b"new 0", b"new 1"]) == new[:1]
    assert pool.evictions == 3


def test_what_cannot_be_trusted_is_not_found() -> None:
    pool = BlockPool(2)
    held, left = pool.take(2)
    pool.learn(held, b"held")
    pool.learn(left, b"left")
    pool.give_back([left])
    pool.unlearn([held, left])
    assert pool.find([b"held"]) == pool.find([b"left"]) == []
    pool.give_back([held])
    assert pool.free == 2


def test_remembering_can_be_turned_off() -> None:
    pool = BlockPool(1, remember=False)
    (block,) = pool.take(1)
    pool.learn(block, b"a")
    pool.give_back([block])
    assert pool.find([b"a"]) == []


def test_more_than_there_is_is_refused_whole() -> None:
    pool = BlockPool(3)
    with pytest.raises(NotEnoughMemory, match="3 free blocks, 4 are needed"):
        pool.take(4)
    assert pool.free == 3


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_events_keeps_the_books(seed: int) -> None:
    rng = random.Random(seed)
    pool = BlockPool(12)
    held: list[list[int]] = []
    content: dict[int, bytes] = {}
    for _ in range(400):
        digests = [b"%d" % rng.randrange(8) for _ in range(rng.randrange(3))]
        known = pool.find(digests)
        assert [content[block] for block in known] == digests[: len(known)]
        pool.hold(known)
        count = rng.randrange(4)
        if count > pool.free:
            pool.give_back(known)
        else:
            fresh = pool.take(count)
            assert not set(fresh) & {block for blocks in held for block in blocks}
            for block in fresh:
                content[block] = b"%d" % rng.randrange(8)
                pool.learn(block, content[block])
            held.append([*known, *fresh])
        if held and rng.random() < 0.6:
            pool.give_back(held.pop(rng.randrange(len(held))))
        assert pool.free == 12 - len({block for blocks in held for block in blocks})


def test_digests_tell_tokens_order_history_and_salt_apart() -> None:
    start = root("")
    assert chained(start, [1, 2]) == chained(start, [1, 2])
    others = {chained(start, [2, 1]), chained(start, [1, 2, 0]), chained(root("a"), [1, 2])}
    others.add(chained(chained(start, [1, 2]), [1, 2]))
    assert len(others | {chained(start, [1, 2])}) == 5


@pytest.mark.parametrize(
    ("text", "count"),
    [("2GB", 2 * 10**9), ("1.5 gib", 3 << 29), ("512MiB", 1 << 29), ("100", 100), ("25%", 250)],
)
def test_sizes_are_read(text: str, count: int) -> None:
    assert memory_of(text, free=1000) == count


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0%", "101%", "1TB"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="2GB, 512MiB or 40%"):
        memory_of(text, free=1000)


def test_prompts_get_what_decoding_can_spare() -> None:
    pace = Pace()
    assert pace.room(0, [9]) is None
    for _ in range(40):
        pace.measured(4, 0, 0.010)
        pace.measured(4, 10, 0.010 + 10 * 0.001)
    assert pace.room(4, [900]) == pytest.approx(10, abs=1)
    for _ in range(40):
        pace.measured(4, 10, 0.010 + 10 * 0.1)
    assert pace.room(4, [900]) == FEWEST  # it goes on, however dear
    for _ in range(90):
        pace.measured(4, 10, 0.010 + 10 * 0.0001)
    assert pace.room(4, [900]) == pytest.approx(100, rel=0.05)
    assert pace.room(4, [200, 900, 100]) == 300  # short ones go in at once
