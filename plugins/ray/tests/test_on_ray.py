"""The whole of it on Ray, where it is installed, with TRAMONTANE_FULL=1."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx2 as httpx
import pytest

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FULL, reason="a minute on Ray: for TRAMONTANE_FULL=1"),
    pytest.mark.skipif(
        find_spec("ray") is None, reason="Ray is not installed: pip install 'ray[serve]==2.60.0'"
    ),
]
CHILD = "tramontane_plugin_ray.child"


@contextlib.contextmanager
def deployed(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`tramontane deploy` with the embedded model: the process, and its address."""
    log = folder / "log"
    command = [sys.executable, "-m", "tramontane", "deploy", "--port", "0", "--cpus", "1"]
    with log.open("wb") as out:
        running = subprocess.Popen([*command, *options], stdout=out, stderr=out)
    try:
        end = time.monotonic() + 180
        while "\nready at " not in log.read_text():
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        url = log.read_text().rpartition("\nready at ")[2].split()[0].removesuffix("/v1")
        yield running, url
        running.send_signal(signal.SIGTERM)
        assert running.wait(120) == 0, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        running.kill()
        running.wait()
        print(log.read_text())


def replicas(url: str) -> dict[str, str]:
    found = httpx.get(f"{url}/replicas", headers={"authorization": "Bearer k"}).json()["data"]
    return {each["url"]: each["state"] for each in found}


def wait(url: str, count: int, without: frozenset[str] = frozenset()) -> None:
    end = time.monotonic() + 120
    while True:
        ready = {one for one, state in replicas(url).items() if state == "ready"}
        if len(ready) == count and not ready & without:
            return
        assert time.monotonic() < end, replicas(url)
        time.sleep(0.1)


def ask(client: httpx.Client, number: int) -> str:
    """What became of one request."""
    body = {"prompt": f"Once upon a time, {number}", "max_tokens": 40, "stream": bool(number % 2)}
    answer = client.post("/v1/completions", json=body)
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.text[:200]}"
    if number % 2 == 0:
        return "whole" if answer.json()["choices"][0]["finish_reason"] else "cut"
    if answer.text.endswith("data: [DONE]\n\n"):
        return "whole"
    return "broken" if "replica_lost" in answer.text else f"cut {answer.text[-200:]}"


def load(url: str, count: int, stop: threading.Event) -> Counter[str]:
    """At least `count` requests by four clients, until `stop`."""
    numbers = iter(range(1_000_000))
    found: Counter[str] = Counter()

    def client() -> None:
        headers = {"authorization": "Bearer k"}
        with httpx.Client(base_url=url, timeout=120, headers=headers) as one:
            while sum(found.values()) < count or not stop.is_set():
                found[ask(one, next(numbers))] += 1

    threads = [threading.Thread(target=client) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


def test_a_killed_replica_comes_back_and_an_update_loses_nothing(tmp_path: Path) -> None:
    with deployed(tmp_path, "--replicas", "2", "--api-key", "k") as (running, url):
        wait(url, 2)
        assert httpx.get(f"{url}/v1/models").status_code == 401
        first = frozenset(replicas(url))
        for one in first:  # nobody else may ask a replica
            assert one.startswith("http://127.0.0.1:")
            assert httpx.get(f"{one}/v1/models", headers={"x-api-key": "k"}).status_code == 401

        stop = threading.Event()
        ends: list[Counter[str]] = []
        loading = threading.Thread(target=lambda: ends.append(load(url, 200, stop)))
        loading.start()
        time.sleep(1)
        pids = subprocess.run(["pgrep", "-f", CHILD], capture_output=True, text=True).stdout
        os.kill(int(pids.split()[0]), signal.SIGKILL)
        end = time.monotonic() + 60
        while len({one for one, state in replicas(url).items() if state == "ready"}) == 2:
            assert time.monotonic() < end
            time.sleep(0.05)
        wait(url, 2)
        stop.set()
        loading.join()
        assert set(ends[0]) <= {"whole", "broken"}
        assert ends[0]["broken"] <= 4

        stop, ends = threading.Event(), []
        before = frozenset(replicas(url))
        loading = threading.Thread(target=lambda: ends.append(load(url, 2000, stop)))
        loading.start()
        time.sleep(1)
        running.send_signal(signal.SIGHUP)
        wait(url, 2, without=before)
        stop.set()
        loading.join()
        assert set(ends[0]) == {"whole"}
        assert ends[0]["whole"] >= 2000


def test_replicas_are_added_and_taken_away_by_load(tmp_path: Path) -> None:
    options = ("--replicas", "1", "--max-replicas", "2", "--scale-at", "2", "--api-key", "k",
               "--scale-down-after", "5")  # fmt: skip
    with deployed(tmp_path, *options) as (_, url):
        wait(url, 1)
        stop = threading.Event()
        ends: list[Counter[str]] = []
        loading = threading.Thread(target=lambda: ends.append(load(url, 10, stop)))
        loading.start()
        wait(url, 2)
        stop.set()
        loading.join()
        assert set(ends[0]) == {"whole"}
        wait(url, 1)


def test_a_model_that_is_not_there_ends_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tramontane", "deploy", "no-such-model", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, cwd=tmp_path)
    assert done.returncode == 1
    assert "error: the replicas do not start: the server does not start: no model" in done.stderr
