"""Ranks that share memory, as processes: their sums, their sleep, and who of them is lost."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tramontane.errors import UsageError
from tramontane.parallel.group import PeerLost
from tramontane.parallel.meeting import Meeting
from tramontane.testing.rank_processes import RankProcess, together
from tramontane_backend_cpu.ranks.kernels import BLOCK, SLEEPS
from tramontane_backend_cpu.ranks.shared import SharedMemory

JOIN = """
import hashlib, pathlib, torch
from tramontane.parallel.meeting import Meeting
from tramontane_backend_cpu.ranks.kernels import STATE
from tramontane_backend_cpu.ranks.shared import SharedMemory
group = SharedMemory(Meeting(
    rank=rank, size=size, folder=pathlib.Path(folder), time_limit=limit, weights=(1.0,) * size
))
"""
SUM = """
x = torch.randn(100_003, generator=torch.Generator().manual_seed(rank)) * 10.0 ** (3 * rank)
digests = [hashlib.sha256(group.all_reduce(x.clone()).numpy()).hexdigest() for _ in range(20)]
part = torch.full((3, rank + 1), float(rank))
wide = group.all_gather(part, range(1, size + 1)).tolist()
told = group.broadcast(b"x" * 1_000_000 if rank == size - 1 else None, size - 1)
result = [sorted(set(digests)), wide, hashlib.sha256(told).hexdigest()]
"""


@pytest.fixture(scope="module")
def processes() -> Iterator[list[RankProcess]]:
    """Three; the last two tests lose the last."""
    found = [RankProcess() for _ in range(3)]
    yield found
    for each in found:
        each.close()


def test_three_processes_have_the_sum_in_the_order_of_ranks(
    processes: list[RankProcess], tmp_path: Path
) -> None:
    answers = together(processes, JOIN + SUM + "group.close()", folder=str(tmp_path), limit=30.0)
    assert [each.error for each in answers] == ["", "", ""]
    total = torch.zeros(())
    for rank in range(3):
        made = torch.Generator().manual_seed(rank)
        total = total + torch.randn(100_003, generator=made) * 10.0 ** (3 * rank)
    digest = hashlib.sha256(total.numpy()).hexdigest()
    row = [0.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    sent = hashlib.sha256(b"x" * 1_000_000).hexdigest()
    assert [each.result for each in answers] == [[[digest], [row] * 3, sent]] * 3
    assert not list(tmp_path.iterdir()), "the meeting place is left behind"


def test_who_waits_for_long_sleeps_and_is_woken(
    processes: list[RankProcess], tmp_path: Path
) -> None:
    told = {"folder": str(tmp_path), "limit": 30.0}
    assert not any(each.error for each in together(processes, JOIN, **told))
    for each in processes[1:]:
        each.begin("result = group.broadcast(None).decode()")
    flags = f"group._shared[{BLOCK + SLEEPS}], group._shared[{2 * BLOCK + SLEEPS}]"
    until = time.monotonic() + 30
    asleep = [0, 0]
    while asleep != [1, 1] and time.monotonic() < until:
        processes[0].begin(f"result = [int(each) for each in ({flags})]")
        asleep = processes[0].end().result
    assert asleep == [1, 1]
    processes[0].begin("group.broadcast(b'wake'); group.close()")
    assert [processes[rank].end().result for rank in (0, 1, 2)] == [None, "wake", "wake"]


def test_who_stalls_is_named_after_the_time_limit(
    processes: list[RankProcess], tmp_path: Path
) -> None:
    told = {"folder": str(tmp_path), "limit": 50.0}
    shorter = "group.time_limit = 1.0\ngroup._state[STATE.index('interval')] = 50"
    assert not any(each.error for each in together(processes, JOIN + shorter, **told))
    processes[2].signal(signal.SIGSTOP)
    try:
        for each in processes[:2]:
            each.begin("group.all_reduce(torch.ones(8))")
        errors = [each.end().error for each in processes[:2]]
    finally:
        processes[2].signal(signal.SIGCONT)
    lost = f"rank 2 (process {processes[2].pid}) did not answer within 1 s"
    assert errors == [f"PeerLost: rank {rank} of 3: {lost}" for rank in (0, 1)]


def test_who_is_killed_is_named_at_once(processes: list[RankProcess], tmp_path: Path) -> None:
    told = {"folder": str(tmp_path), "limit": 50.0}
    assert not any(each.error for each in together(processes, JOIN, **told))
    for each in processes[:2]:
        each.begin("group.all_reduce(torch.ones(8))")
    processes[2].signal(signal.SIGKILL)
    errors = [each.end().error for each in processes[:2]]
    lost = f"rank 2 (process {processes[2].pid}) is gone"
    assert errors == [f"PeerLost: rank {rank} of 3: {lost}" for rank in (0, 1)]


def test_a_meeting_place_that_a_killed_rank_left_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "ranks-0"))
    with pytest.raises(PeerLost, match=r"of 2 ranks these have not come within 0\.1 s: 1"):
        SharedMemory(Meeting(rank=0, size=2, folder=tmp_path, time_limit=0.1))


def test_a_meeting_place_in_use_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "ranks-7"))
        other.listen()
        with pytest.raises(UsageError, match=r"another model meet at .*ranks-7: take another port"):
            SharedMemory(Meeting(rank=0, size=2, port=7, folder=tmp_path, time_limit=0.1))


def test_a_folder_that_others_can_enter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"tramontane-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(UsageError, match="a folder of this user that no other can enter"):
        SharedMemory(Meeting(rank=0, size=2, port=7, time_limit=0.1))


def test_without_a_meeting_place_there_is_no_group() -> None:
    with pytest.raises(UsageError, match="needs a folder or a port"):
        SharedMemory(Meeting(rank=0, size=2, time_limit=0.1))
