"""Which of several processes this one is: what options and the environment say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tramontane.errors import UsageError

from .meeting import MOST, MOST_PORTS, Meeting

TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells each process; all of them, or it was something else."""
MISTRAL = "MISTRALRS_MN_"
NODES = Path("/sys/devices/system/node")
PLACE = re.compile(r"(\d+)/(\d+)@(.+):(\d+)")


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """rank: this process, from 0. size: how many there are. local: how many on this machine are
    begun by this process, itself the first of them. address, port: where they meet, if they are on
    several machines."""

    rank: int
    size: int
    local: int
    address: str = ""
    port: int = 0
    interconnect: str | None = None
    """As it was asked for; None: what suits."""
    meeting: Meeting | None = None
    """What the interconnect itself knows of the ranks."""
    weights: tuple[float, ...] = ()
    """How much of the model each rank is to have, relative to the others; empty: all the same."""

    def __post_init__(self) -> None:
        """Raises UsageError."""
        if not 2 <= self.size <= MOST:
            raise UsageError(f"{self.size} ranks: a model is computed by 2 to {MOST}")
        if self.rank < 0 or self.local < 1 or self.rank + self.local > self.size:
            raise UsageError(
                f"ranks {self.rank} to {self.rank + self.local - 1} of {self.size} cannot be on "
                "one machine"
            )
        if self.address and not 0 < self.port <= MOST_PORTS:
            raise UsageError(f"port {self.port} is none: 1 to {MOST_PORTS}")


def ranks_of(
    asked: int | str | None, nodes: str | None, environment: Mapping[str, str]
) -> Ranks | None:
    """None: this process computes by itself. asked: `LoadOptions.tp`. nodes: of `tp_nodes`. Raises
    UsageError for what does not fit together."""
    count = numa_nodes() if asked == "auto" else None if asked is None else int(asked)
    if nodes is not None:
        return _of_nodes(nodes, count)
    if count == 1:
        return None
    found = _of_torchrun(environment) or _of_mistral(environment)
    if found is not None:
        if count is not None and count != found.size:
            raise UsageError(
                f"--tp {count} and an environment of {found.size} ranks: leave one of them"
            )
        return found if isinstance(found, Ranks) else None
    return None if count is None else Ranks(rank=0, size=count, local=count)


def numa_nodes() -> int:
    """How many memories of their own this machine's processors have."""
    if not NODES.is_dir():
        return 1
    return max(1, sum(1 for each in NODES.iterdir() if re.fullmatch(r"node\d+", each.name)))


def _of_nodes(text: str, count: int | None) -> Ranks:
    match = PLACE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"--tp-nodes {text!r}: should be MACHINE/MACHINES@HOST:PORT, such as 0/2@10.0.0.1:29500"
        )
    node, nodes, address, port = int(match[1]), int(match[2]), match[3], int(match[4])
    if count is None or nodes < 1 or count % nodes or node >= nodes:
        raise UsageError(
            f"--tp-nodes {text}: --tp says how many ranks there are, which the {nodes} machines "
            f"from 0 to {nodes - 1} share equally"
        )
    local = count // nodes
    return Ranks(rank=node * local, size=count, local=local, address=address.strip("[]"), port=port)


def _of_torchrun(environment: Mapping[str, str]) -> _Found | None:
    if not all(environment.get(name) for name in TORCHRUN):
        return None
    rank, size, port = (
        _number(environment, name) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")
    )
    return _made(rank, size, 1, environment["MASTER_ADDR"], port)


def _of_mistral(environment: Mapping[str, str]) -> _Found | None:
    """What mistral.rs reads: a head with workers on other machines, or several on one."""

    def said(name: str) -> int | None:
        key = f"{MISTRAL}{name}"
        return _number(environment, key) if environment.get(key) else None

    local, size = said("LOCAL_WORLD_SIZE"), said("GLOBAL_WORLD_SIZE")
    if size is None:
        return None if local is None else _made(0, local, local, "", 0)
    workers, port = said("HEAD_NUM_WORKERS"), said("HEAD_PORT")
    if workers is not None and port is not None:
        return _made(0, size, local or max(1, size // (workers + 1)), "0.0.0.0", port)
    place, worker = environment.get(f"{MISTRAL}WORKER_SERVER_ADDR"), said("WORKER_ID")
    if place is None or worker is None or not place.rpartition(":")[2].isdigit():
        raise UsageError(
            f"{MISTRAL}GLOBAL_WORLD_SIZE={size}: the first machine needs {MISTRAL}HEAD_NUM_WORKERS "
            f"and {MISTRAL}HEAD_PORT, the others {MISTRAL}WORKER_SERVER_ADDR=HOST:PORT and "
            f"{MISTRAL}WORKER_ID"
        )
    host, _, at = place.rpartition(":")
    local = local or 1
    return _made((worker + 1) * local, size, local, host.strip("[]"), int(at))


@dataclass(frozen=True)
class _Alone:
    """An environment of one process."""

    size: int = 1


_Found = Ranks | _Alone


def _made(rank: int, size: int, local: int, address: str, port: int) -> _Found:
    if size == 1:
        return _Alone()
    return Ranks(rank=rank, size=size, local=local, address=address, port=port)


def _number(environment: Mapping[str, str], name: str) -> int:
    try:
        return int(environment[name])
    except ValueError as error:
        raise UsageError(f"{name}={environment[name]!r} is no whole number") from error
