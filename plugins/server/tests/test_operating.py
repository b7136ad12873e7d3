"""What an operator does to a running server: probes, admin keys, keys read again."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from .live_server import Live, serving

HEADING = "# keys of the team"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("operated")


@pytest.fixture(scope="module")
def operated(folder: Path) -> Iterator[Live]:
    keys = folder / "keys"
    keys.write_text(f"{HEADING}\nsk-ann\n")
    options = ["--api-key-file", str(keys), "--admin-key", "sk-root"]
    for path in ("/ready", "/metrics", "/docs"):
        options += ["--open-path", path]
    with serving(folder, *options) as live:
        yield live


def status(live: Live, path: str, key: str | None = None, method: str = "GET") -> int:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    body = {"json": {"model_id": "default"}} if method == "POST" else {}
    return httpx.request(method, live.url + path, headers=headers, timeout=60, **body).status_code


def test_opened_paths_need_no_key_and_others_do(operated: Live) -> None:
    for path in ("/health", "/ready", "/metrics", "/docs"):
        assert status(operated, path) == status(operated, path, method="HEAD") == 200
    assert status(operated, "/") in (200, 307)  # a plugin's page, or the way to the documentation
    for path in ("/openapi.json", "/v1/models", "/ready/", "//metrics", "/docs/../v1/models"):
        assert status(operated, path) == 401
    assert status(operated, "/v1/models", "sk-ann") == 200


def test_a_comment_of_the_key_file_is_no_key(operated: Live) -> None:
    assert status(operated, "/v1/models", HEADING) == 401


@pytest.mark.parametrize("path", ["/v1/models/unload", "/v1/models/reload"])
def test_loading_and_unloading_needs_an_admin_key(operated: Live, path: str) -> None:
    assert status(operated, path, method="POST") == 401
    assert status(operated, path, "sk-ann", "POST") == 403
    assert status(operated, path, "sk-root", "POST") == 200
    assert status(operated, "/v1/models", "sk-root") == 200
    assert status(operated, "/v1/models/status", "sk-ann", "POST") == 200
    for other in ("/re_isq", "/v1/load_lora_adapter", "/v1/unload_lora_adapter"):
        assert status(operated, other, method="POST") == 401
        assert status(operated, other, "sk-ann", "POST") == 403


def test_hangup_reads_the_keys_again_and_stops_nothing(operated: Live, folder: Path) -> None:
    (folder / "keys").write_text("sk-bob\n")
    operated.process.send_signal(signal.SIGHUP)
    operated.wait_for_line("SIGHUP: keys were reloaded")
    assert status(operated, "/v1/models", "sk-ann") == 401
    assert status(operated, "/v1/models", "sk-bob") == 200
    (folder / "keys").unlink()
    operated.process.send_signal(signal.SIGHUP)
    operated.wait_for_line("the previous ones stay in use")
    assert status(operated, "/v1/models", "sk-bob") == 200
    assert status(operated, "/v1/models", "sk-root") == 200


def test_a_terminal_that_is_closed_stops_it(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    socket = tmp_path / "s"
    process, terminal = pty.fork()
    if not process:
        options = ["--uds", str(socket), "--load", "demand"]
        os.execv(sys.executable, [sys.executable, "-m", "tramontane", "serve", *options])
    end = time.monotonic() + 120
    said = b""
    while b"ready at" not in said:
        assert time.monotonic() < end
        said += os.read(terminal, 4096)
    os.close(terminal)
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        assert time.monotonic() < end, "it outlives its terminal"
        time.sleep(0.05)
    assert not socket.exists()


def test_a_moved_log_is_begun_again(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with serving(tmp_path, "--load", "demand", "--log-file", str(log)) as live:
        httpx.get(f"{live.url}/health")
        end = time.monotonic() + 60
        while "/health" not in log.read_text():  # it is written once the answer is sent
            assert time.monotonic() < end
            time.sleep(0.01)
        log.rename(tmp_path / "access.log.1")
        httpx.get(f"{live.url}/ready")
        while not log.exists() or "/ready" not in log.read_text():
            assert time.monotonic() < end
            time.sleep(0.01)
    assert "/health" in (tmp_path / "access.log.1").read_text()
