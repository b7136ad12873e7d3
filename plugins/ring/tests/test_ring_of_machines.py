"""Three ranks on two machines, as processes, and what becomes of a ring that loses one."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane.testing.rank_processes import Answer, RankProcess, together

sys.path.insert(0, str(Path(__file__).parent))
from machines import Machine, two_machines

JOIN = """
import hashlib, os, torch
from dataclasses import replace
from tramontane.parallel.interconnect import choose
from tramontane.registry import Registry
asked = choose(f"ring:wait={wait}", Registry())
meeting = asked.find({"RING_CONFIG": files[rank]})
group = asked.join(replace(meeting, time_limit=limit))
"""
SUM = """
x = torch.randn(100_003, generator=torch.Generator().manual_seed(rank)) * 10.0 ** (3 * rank)
digests = [hashlib.sha256(group.all_reduce(x.clone()).numpy()).hexdigest() for _ in range(5)]
told = group.broadcast(b"x" * 1_000_000 if rank == 2 else None, 2)
result = [sorted(set(digests)), hashlib.sha256(told).hexdigest()]
"""
GARBAGE = """
import socket
stranger = socket.create_connection((address, port))
stranger.sendall(os.urandom(5000))
"""


@dataclass
class Ring:
    """Processes by rank: the first machine has ranks 0 and 1, the second rank 2."""

    machines: list[Machine]
    why_one: str
    processes: list[RankProcess]
    files: list[str]

    def machine(self, rank: int) -> Machine:
        return self.machines[rank // 2]

    def together(self, code: str, **names: Any) -> list[Answer]:
        told = {"files": self.files, "wait": 30.0, "limit": 50.0, **names}
        return together(self.processes, code, **told)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    folder = tmp_path_factory.mktemp("ring")
    (folder / "secret").write_text("what the three ranks of the test know")
    (folder / "secret").chmod(0o600)
    with two_machines() as (machines, why):
        made = Ring(machines, why, [], [])
        port = 20_000 + os.getpid() % 10_000
        for rank in range(3):
            after = (rank + 1) % 3
            told = {
                "master_ip": machines[0].address, "master_port": port + 7, "port": port + rank,
                "right_ip": made.machine(after).address, "right_port": port + after,
                "rank": rank, "world_size": 3, "secret_file": "secret", "weights": [2, 1, 1],
            }  # fmt: skip
            path = folder / f"ring-{rank}.json"
            path.write_text(json.dumps(told))
            made.files.append(str(path))
            made.processes.append(RankProcess(made.machine(rank).network))
        yield made
        for each in made.processes:
            each.close()


def test_all_have_the_sum_in_the_order_of_ranks(ring: Ring) -> None:
    answers = ring.together(JOIN + SUM + "result.append(group.weights)\ngroup.close()")
    assert [each.error for each in answers] == ["", "", ""]
    total = torch.zeros(())
    for rank in range(3):
        made = torch.Generator().manual_seed(rank)
        total = total + torch.randn(100_003, generator=made) * 10.0 ** (3 * rank)
    digest = hashlib.sha256(total.numpy()).hexdigest()
    sent = hashlib.sha256(b"x" * 1_000_000).hexdigest()
    assert [each.result for each in answers] == [[[digest], sent, (2.0, 1.0, 1.0)]] * 3


def test_the_ranks_were_on_two_machines(ring: Ring) -> None:
    if ring.why_one:
        pytest.skip(f"this user cannot make network namespaces: {ring.why_one}")
    answers = ring.together(JOIN + "result = [each.name for each in group._wires]\ngroup.close()")
    assert answers[0].result[0].startswith("rank 1 (198.18.77.1:")
    assert answers[0].result[1].startswith("rank 2 (198.18.77.2:")
    assert answers[2].result[0].startswith("rank 0 (198.18.77.1:")


def test_garbage_at_a_port_keeps_no_rank_away(ring: Ring) -> None:
    told = {"files": ring.files, "wait": 30.0, "limit": 50.0}
    ring.processes[0].begin(JOIN, rank=0, size=3, **told)
    port = json.loads(Path(ring.files[0]).read_text())["port"]
    reach = GARBAGE.replace("stranger =", "import time\nstranger =", 1)
    place = {"address": ring.machine(0).address, "port": port}
    until_there = f"""
import time
for _ in range(600):
    try:
        exec({reach!r})
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
"""
    ring.processes[2].begin("import os\n" + until_there, **place)
    assert ring.processes[2].end().error == ""
    for rank in (1, 2):
        ring.processes[rank].begin(JOIN, rank=rank, size=3, **told)
    assert [each.end().error for each in ring.processes] == ["", "", ""]
    assert not any(each.error for each in ring.together(SUM + "group.close()"))


def test_a_wrong_secret_lets_nobody_in(ring: Ring, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("what somebody else may know of it")
    (tmp_path / "secret").chmod(0o600)
    other = tmp_path / "ring.json"
    other.write_text(Path(ring.files[1]).read_text())
    files = [ring.files[0], str(other), ring.files[2]]
    answers = ring.together(JOIN, files=files, wait=2.0)
    assert answers[0].error.startswith("PeerLost: rank 1 (")
    assert answers[0].error.endswith("cannot be reached: it does not know the secret")
    assert answers[1].error.startswith("PeerLost: rank 2 (")


def test_who_stalls_is_named_by_all(ring: Ring) -> None:
    assert not any(each.error for each in ring.together(JOIN, limit=1.0))
    ring.processes[1].signal(signal.SIGSTOP)
    try:
        for rank in (0, 2):
            ring.processes[rank].begin("group.all_reduce(torch.ones(8))")
        errors = [ring.processes[rank].end().error for rank in (0, 2)]
    finally:
        ring.processes[1].signal(signal.SIGCONT)
    for error in errors:
        assert error.startswith("PeerLost: rank 1 (")
        assert error.endswith("did not answer within 1 s")
    ring.processes[1].begin("group.all_reduce(torch.ones(8))")
    assert ring.processes[1].end().error.startswith("PeerLost: ")


def test_who_is_killed_is_named_and_may_come_back(ring: Ring) -> None:
    assert not any(each.error for each in ring.together(JOIN))
    for rank in (0, 2):
        ring.processes[rank].begin("group.all_reduce(torch.ones(8))")
    ring.processes[1].close()
    for rank in (0, 2):
        assert ring.processes[rank].end().error.startswith("PeerLost: rank 1 (")
    ring.processes[1] = RankProcess(ring.machine(1).network)
    answers = ring.together(JOIN + SUM + "group.close()")
    assert [each.error for each in answers] == ["", "", ""]
    assert answers[0].result == answers[1].result == answers[2].result
