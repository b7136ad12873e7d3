"""What every interconnect must do: add in the order of ranks, carry parts of all widths, and notice
who goes. Each rank is a thread here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tramontane.parallel.group import Group, PeerLost
from tramontane.parallel.interconnect import Asked
from tramontane.parallel.meeting import Meeting
from tramontane.parallel.team import free_port
from tramontane.plugin import Interconnect

LIMIT = 5.0
"""Seconds of a meeting's time limit where all is well."""
SHORT = 0.5
"""Where it is not."""
LATE = 5.0
"""Times that limit that an error may take at most on a busy machine."""


def together(
    offer: Interconnect, size: int, work: Callable[[Group], Any], limit: float = LIMIT,
    come: int | None = None,
) -> list[Any]:  # fmt: skip
    """What `work` returns or raises on each rank. come: ranks that do; the others stay away."""
    if "cpu" not in offer.devices:
        pytest.skip(f"{offer.name} takes no numbers of the CPU")
    port, found = free_port(), [None] * size

    def rank(number: int) -> None:
        group: Group | None = None
        try:
            meeting = Meeting(rank=number, size=size, port=port, time_limit=limit)
            group = Asked(offer, offer.options).join(meeting)
            found[number] = work(group)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the check looks at it
            found[number] = error  # type: ignore[call-overload]
        finally:
            if group is not None:
                group.close()

    count = size if come is None else come
    threads = [threading.Thread(target=rank, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LATE * limit + LIMIT)
        assert not thread.is_alive(), f"a rank still waits; the time limit was {limit:g} s"
    return found


def numbers(rank: int, count: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Some whose sum depends on the order in which they are added."""
    made = torch.Generator().manual_seed(rank)
    return (torch.randn(count, generator=made) * 10.0 ** (3 * rank)).to(dtype)


def sum_in_order(size: int, count: int, dtype: torch.dtype) -> torch.Tensor:
    total = numbers(0, count, dtype).float()
    for rank in range(1, size):
        total = total + numbers(rank, count, dtype).float()
    return total.to(dtype)


def good(found: list[Any]) -> list[Any]:
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return found


@pytest.mark.parametrize("size", [1, 2, 3])
def test_sums_are_added_in_the_order_of_ranks(offer: Interconnect, size: int) -> None:
    cases = [(count, torch.float32) for count in (1, 15, 2048, 100_003)]
    cases += [(77, torch.bfloat16), (77, torch.float16)]

    def work(group: Group) -> list[torch.Tensor]:
        sums = []
        for count, dtype in cases:
            x = numbers(group.rank, count, dtype)
            sums.append(group.all_reduce(x))
            assert sums[-1].data_ptr() == x.data_ptr(), "the sum is not in place"
        return sums

    for found in good(together(offer, size, work)):
        for (count, dtype), total in zip(cases, found, strict=True):
            assert torch.equal(total, sum_in_order(size, count, dtype)), f"{count} of {dtype}"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_parts_of_any_width_come_side_by_side(offer: Interconnect, size: int) -> None:
    widths = [5, 0, 700][:size]

    def part(rank: int, rows: int) -> torch.Tensor:
        return numbers(rank, rows * widths[rank]).reshape(rows, widths[rank])

    def work(group: Group) -> list[torch.Tensor]:
        return [group.all_gather(part(group.rank, rows), widths) for rows in (1, 3, 500)]

    for found in good(together(offer, size, work)):
        for rows, whole in zip((1, 3, 500), found, strict=True):
            assert torch.equal(whole, torch.cat([part(rank, rows) for rank in range(size)], -1))


@pytest.mark.parametrize("size", [2, 3])
def test_bytes_go_from_one_to_all(offer: Interconnect, size: int) -> None:
    told = [b"", b"step", bytes(range(256)) * 5000]

    def work(group: Group) -> list[bytes]:
        found = []
        for source in range(size):
            for data in told:
                found.append(group.broadcast(data if group.rank == source else None, source))
        return found

    assert good(together(offer, size, work)) == [told * size] * size


def test_operations_follow_each_other_at_once(offer: Interconnect) -> None:
    def work(group: Group) -> list[float]:
        found = []
        for turn in range(200):
            if turn % 7 == group.rank:
                time.sleep(0.0005)
            found.append(float(group.all_reduce(torch.full((3,), float(turn)))[2]))
            group.broadcast(b"go" if group.rank == turn % 3 else None, turn % 3)
        return found

    assert good(together(offer, 3, work)) == [[3.0 * turn for turn in range(200)]] * 3


def test_who_leaves_ends_the_others_calls(offer: Interconnect) -> None:
    def work(group: Group) -> torch.Tensor | None:
        group.all_reduce(torch.ones(4))
        if group.rank == 1:
            group.close()
            group.close()
            return None
        return group.all_reduce(torch.ones(4))

    found = together(offer, 3, work)
    assert found[1] is None
    for rank in (0, 2):
        assert isinstance(found[rank], PeerLost), f"rank {rank}: {found[rank]!r}"


def test_who_stalls_ends_the_others_calls_in_time(offer: Interconnect) -> None:
    ended = threading.Event()

    def work(group: Group) -> torch.Tensor | None:
        if group.rank == 1:
            ended.wait(LATE * SHORT + LIMIT)
            return None
        try:
            return group.all_reduce(torch.ones(4))
        finally:
            ended.set()

    found = together(offer, 2, work, SHORT)
    assert isinstance(found[0], PeerLost), f"{found[0]!r}"


def test_who_does_not_come_is_an_error_in_time(offer: Interconnect) -> None:
    found = together(offer, 2, lambda group: None, SHORT, come=1)
    assert isinstance(found[0], PeerLost), f"{found[0]!r}"
