"""How much of something each rank has."""

from __future__ import annotations

from itertools import product

import pytest
from tramontane.parallel.portions import head_portions, portions, wide_portions


@pytest.mark.parametrize(
    ("count", "size", "step", "weights"),
    [(7, 3, 1, ()), (11008, 2, 256, ()), (100, 3, 16, (1.0, 2.0, 1.0)), (4, 4, 1, (9.0, 1, 1, 1))],
)
def test_runs_cover_all_and_end_at_steps(
    count: int, size: int, step: int, weights: tuple[float, ...]
) -> None:
    found = portions(count, size, step, weights)
    assert found is not None
    assert [n for run in found for n in run] == list(range(count))
    assert all(run.start % step == 0 and len(run) for run in found)


def test_a_rank_that_would_have_nothing_means_none() -> None:
    assert portions(3, 4) is None
    assert portions(512, 3, 256) is None
    assert wide_portions(256, 2, 256) is None


def test_weights_are_followed_as_far_as_steps_allow() -> None:
    found = portions(64, 2, 16, (3.0, 1.0))
    assert found == [range(48), range(48, 64)]


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize(("heads", "kv_heads"), [(8, 1), (8, 2), (8, 8), (12, 4), (15, 5)])
def test_queries_read_the_heads_that_they_read_before(heads: int, kv_heads: int, size: int) -> None:
    found = head_portions(heads, kv_heads, 16, size, 1)
    assert found is not None
    group = heads // kv_heads
    assert [q for each in found for q in each.q] == list(range(heads))
    for each in found:
        own = len(each.q) // len(each.kv)
        for place, q in enumerate(each.q):
            assert each.kv[place // own] == q // group


def test_columns_are_cut_at_blocks_or_not_at_all() -> None:
    for width, step in product((32, 64, 128), (32, 256)):
        found = head_portions(16, 16, width, 3, step)
        assert found is None or all(each.q.start * width % step == 0 for each in found)
    assert head_portions(4, 4, 32, 2, 256) is None
