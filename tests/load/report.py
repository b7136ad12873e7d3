"""Figures of a run: speed, waiting times, errors, what was left behind."""

from __future__ import annotations

import statistics
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import psutil

from .client import Answer


@dataclass(frozen=True)
class Report:
    """Seconds and bytes; percentiles as (50th, 90th, 99th). errors: not cancels."""

    requests: int
    cancelled: int
    errors: Sequence[str]
    different: int
    seconds: float
    tokens: int
    first_token: tuple[float, float, float]
    between_tokens: tuple[float, float, float]
    leaked_blocks: int
    memory: tuple[int, int]
    """Of the server, when a tenth of the requests were done, and at the end."""
    loop: float
    """Processor time of the server's event loop; the engine has a thread of its own."""

    def lines(self) -> list[str]:
        """To be read by people."""

        def milliseconds(values: tuple[float, float, float]) -> str:
            return " / ".join(f"{1e3 * value:.1f}" for value in values) + " ms"

        early, late = self.memory
        return [
            f"{self.requests} requests in {self.seconds:.1f} s, {self.cancelled} of them hung up",
            f"errors: {len(self.errors)}; answers other than alone: {self.different}",
            f"tokens a second: {self.tokens / self.seconds:.1f}",
            f"time to first token, p50 / p90 / p99: {milliseconds(self.first_token)}",
            f"between tokens, p50 / p90 / p99: {milliseconds(self.between_tokens)}",
            f"event loop: {1e6 * self.loop / max(1, self.tokens):.0f} us of processor time a token",
            f"blocks still held: {self.leaked_blocks}",
            f"memory: {early / 1e6:.0f} MB early, {late / 1e6:.0f} MB at the end",
            *sorted(set(self.errors))[:5],
        ]


def report(
    answers: Sequence[Answer],
    cancelled: int,
    different: int,
    seconds: float,
    leaked: int,
    memory: tuple[int, int],
    loop: float,
) -> Report:
    """Of what came."""
    good = [answer for answer in answers if answer.status == 200]
    firsts = [answer.first for answer in good if answer.times]
    gaps = [b - a for answer in good for a, b in pairwise(answer.times)]
    return Report(
        requests=len(answers),
        cancelled=cancelled,
        errors=[f"{a.status}: {a.error[:200]}" for a in answers if a.status != 200],
        different=different,
        seconds=seconds,
        tokens=sum(answer.tokens for answer in good),
        first_token=percentiles(firsts),
        between_tokens=percentiles(gaps),
        leaked_blocks=leaked,
        memory=memory,
        loop=loop,
    )


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The 50th, 90th and 99th."""
    if len(values) < 2:
        only = values[0] if values else 0.0
        return only, only, only
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[89], cuts[98]


def figure(url: str, name: str) -> float:
    """A metric of the server's, summed over its labels."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{"))


def resident(process: int) -> int:
    """Bytes of memory that a process holds."""
    return int(psutil.Process(process).memory_info().rss)


def loop_time(process: int) -> float:
    """Seconds of processor time that a process's first thread has taken: the event loop's."""
    threads = psutil.Process(process).threads()
    return sum(t.user_time + t.system_time for t in threads if t.id == process)
