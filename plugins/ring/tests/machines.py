"""Two machines on this one: network namespaces with addresses of their own and a cable between."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SPACES = Path("/run/netns")
"""Where `ip` keeps namespaces."""


@dataclass(frozen=True)
class Machine:
    """address: as others see it. network: the file of its namespace."""

    address: str = "127.0.0.1"
    network: Path | None = None


@contextmanager
def two_machines() -> Iterator[tuple[list[Machine], str]]:
    """Both, and why they are this machine twice; empty: they are not."""
    names = [f"tramontane-{os.getpid()}-{index}" for index in range(2)]
    # of the block that is kept for tests of networks
    addresses = ["198.18.77.1", "198.18.77.2"]
    try:
        why = _made(names, addresses)
        if why:
            yield [Machine(), Machine()], why
        else:
            networks = [SPACES / name for name in names]
            yield [Machine(*each) for each in zip(addresses, networks, strict=True)], ""
    finally:
        for name in names:
            if (SPACES / name).exists():
                subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _made(names: list[str], addresses: list[str]) -> str:
    """Why they cannot be made; empty: they are."""
    if shutil.which("ip") is None:
        return "there is no program `ip`"
    ends = ["tram0", "tram1"]
    steps = [["netns", "add", name] for name in names]
    first, second = names
    cable = ["type", "veth", "peer", "name", ends[1], "netns", second]
    steps.append(["link", "add", ends[0], "netns", first, *cable])
    for name, end, address in zip(names, ends, addresses, strict=True):
        steps.append(["-n", name, "addr", "add", f"{address}/24", "dev", end])
        steps += [["-n", name, "link", "set", each, "up"] for each in ("lo", end)]
    for step in steps:
        done = subprocess.run(["ip", *step], check=False, capture_output=True, text=True)
        if done.returncode:
            return f"ip {' '.join(step)}: {done.stderr.strip()}"
    return ""
