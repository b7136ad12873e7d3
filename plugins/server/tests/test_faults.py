"""Clients that vanish, stall or lie, full queues, full disks, signals: the others never notice."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from .live_server import Live, serving

LONG = {"messages": "Tell me a story", "max_tokens": 400, "ignore_eos": True}
SHORT = {"messages": "Tell me a story", "max_tokens": 4}


def raw(live: Live, data: bytes) -> socket.socket:
    """A connection on which `data` was sent."""
    host, port = live.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(data)
    return connection


def posted(body: bytes, length: int | None = None) -> bytes:
    """A chat request as bytes, its length perhaps a lie."""
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


def answered(live: Live) -> bool:
    with live.client() as client:
        return client.post("/v1/chat/completions", json=SHORT).status_code == 200


def test_a_client_that_vanishes_in_a_stream(live: Live) -> None:
    for _ in range(5):
        with (
            live.client() as client,
            client.stream("POST", "/v1/chat/completions", json={**LONG, "stream": True}) as answer,
        ):
            next(answer.iter_lines())
    live.idle()
    cancelled = 'finished_reason="cancelled"'
    with live.client() as client:
        assert cancelled in client.get("/metrics").text


def test_a_client_that_does_not_wait_for_a_whole_answer(live: Live) -> None:
    raw(live, posted(json.dumps(LONG).encode())).close()
    live.idle()


def test_a_client_that_never_reads(live: Live) -> None:
    stuck = raw(live, posted(json.dumps({**LONG, "n": 8, "stream": True}).encode()))
    assert answered(live)
    live.idle()
    stuck.close()


def test_half_a_body_holds_nothing_up(tmp_path: Path) -> None:
    with serving(tmp_path, "--body-timeout", "0.3") as live:
        half = raw(live, posted(b'{"messages":', 1000))
        assert answered(live)
        assert b" 408 " in half.recv(65536)
        half.close()


def test_half_a_body_and_gone(live: Live) -> None:
    raw(live, posted(b'{"messages":', 1000)).close()
    assert answered(live)


@pytest.mark.parametrize("seed", range(5))
def test_garbage(live: Live, seed: int) -> None:
    noise = random.Random(seed).randbytes(3000)
    for data in (noise, b"POST / HTTP/1.1\r\n" + noise, posted(noise), b"\r\n" * 1000):
        raw(live, data).close()
    assert answered(live)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Live]:
    """One at a time, and one that waits."""
    with serving(tmp_path, "--max-seqs", "1", "--max-waiting", "1") as live:
        yield live
        live.idle()


def test_a_full_queue_says_when_to_come_again(narrow: Live) -> None:
    def ask(_: int) -> httpx.Response:
        return httpx.post(f"{narrow.url}/v1/chat/completions", json=LONG, timeout=60)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {200, 429}
    assert 200 in statuses
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error"]["code"] == "queue_full"
    assert answered(narrow)


def test_a_small_cache_under_load_answers_everyone_the_same(tmp_path: Path) -> None:
    with serving(tmp_path, "--kv-tokens", "512") as live:
        alone = [ask(live, i) for i in range(12)]
        with ThreadPoolExecutor(12) as pool:
            together = list(pool.map(lambda i: ask(live, i), range(12)))
        assert together == alone
        assert live.figure("tramontane_num_preemptions_total") > 0
        live.idle()


def ask(live: Live, seed: int) -> str:
    body: dict[str, Any] = {
        "messages": f"Tell me a story about {'a fox and ' * (seed % 5)} a bear", "seed": seed,
        "temperature": 0.9, "max_tokens": 120, "ignore_eos": True,
    }  # fmt: skip
    answer = httpx.post(f"{live.url}/v1/chat/completions", json=body, timeout=120).json()
    return str(answer["choices"][0]["message"]["content"])


def test_stopping_lets_answers_end(tmp_path: Path) -> None:
    with serving(tmp_path) as live:
        with (
            live.client() as client,
            client.stream("POST", "/v1/chat/completions", json={**LONG, "stream": True}) as answer,
        ):
            lines = answer.iter_lines()
            next(lines)
            live.process.send_signal(signal.SIGTERM)
            assert "data: [DONE]" in list(lines)
        assert live.process.wait(60) == 0
        with pytest.raises(httpx.ConnectError):
            live.client().get("/health")


def test_killed_under_load_and_started_again(tmp_path: Path) -> None:
    with serving(tmp_path) as live:
        port = live.url.rpartition(":")[2]
        lost: list[str] = []

        def ask() -> None:
            try:
                httpx.post(f"{live.url}/v1/chat/completions", json=LONG, timeout=60)
            except httpx.TransportError:
                lost.append("cut")

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.02)
        live.process.kill()
        live.process.wait(60)
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    with serving(tmp_path, "--port", port) as again:
        assert answered(again)


def test_a_full_disk_for_logs(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with serving(tmp_path, "--log-file", "/dev/full") as live:
        assert answered(live)
        assert answered(live)


def test_a_taken_port_is_said(live: Live, tmp_path: Path) -> None:
    port = live.url.rpartition(":")[2]
    command = [sys.executable, "-m", "tramontane", "serve", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"error: port {port} is in use at 127.0.0.1: choose another with --port; "
        "--port 0: a free one"
    ]


def test_a_model_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tramontane", "serve", "--port", "0", "-m", "no/such file"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.count("no model 'no/such file'") == 1
    assert "Traceback" not in done.stderr
