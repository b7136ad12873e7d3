"""What needs no Ray: settings, scaling, the registry, and the server of a replica."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tramontane.errors import ConfigError, TramontaneError
from tramontane_plugin_ray.deploy import _settings
from tramontane_plugin_ray.deploy_settings import (
    DeploySettings,
    deploy_settings,
    replica_settings,
    router_settings,
)
from tramontane_plugin_ray.registry import FRESH, Registry
from tramontane_plugin_ray.scaling import AT_LEAST, Scaling
from tramontane_plugin_ray.server_process import ServerProcess
from tramontane_plugin_ray.watching import Watching
from tramontane_plugin_router.app import Router
from tramontane_plugin_router.replica import Replicas


def test_options_go_to_the_router_or_to_the_replicas() -> None:
    settings, deploy = _settings(
        ["some-model", "--replicas", "4", "--cpus", "3", "--port", "0", "--api-key", "secret",
         "--num-ctx", "77", "--max-seqs", "5", "--max-new-tokens", "9", "--uds", "x"]
    )  # fmt: skip
    assert deploy.replicas == deploy.most == 4
    routing, theirs = router_settings(settings), replica_settings(settings, deploy)
    assert routing.api_key == ("secret",)
    assert str(routing.uds) == "x"
    assert routing.busy == 5
    (model,) = theirs.models
    assert (model.model, model.num_ctx, model.threads) == ("some-model", 77, 3)
    assert theirs.max_new_tokens == 9
    assert theirs.uds is None
    assert "secret" not in theirs.model_dump_json()
    of_both = {"max_body", "send_timeout", "shutdown_timeout"}
    assert {name for name in of_both if getattr(routing, name) != getattr(theirs, name)} == set()


@pytest.mark.parametrize(("given", "said"), [
    ({"replicas": 0}, "--replicas: must be at least 1"),
    ({"replicas": 4, "max_replicas": 3}, "--max-replicas 3 is less than --replicas 4"),
    ({"gpus": -1}, "--gpus: must be at least 0"),
    ({"ray_name": "a/b"}, "--ray-name: must match"),
])  # fmt: skip
def test_wrong_settings_name_the_option(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        deploy_settings(given)


def test_cores_are_shared_on_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert DeploySettings(replicas=4).cores() == 4
    assert DeploySettings(replicas=4, max_replicas=8).cores() == 2
    assert DeploySettings(replicas=64).cores() == 1
    assert DeploySettings(replicas=4, cpus=7).cores() == 7
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert DeploySettings(replicas=4).cores() == 1
    assert DeploySettings().cluster == "auto"


def wanted(scaling: Scaling, running: int, since: float, seconds: float) -> int:
    """What it comes to when so many requests run for so long."""
    for tick in range(int(seconds * 2) + 1):
        found = scaling.look(running, since + tick / 2)
    return found


def test_replicas_follow_the_load_between_limits() -> None:
    scaling = Scaling(least=2, most=5, at=10, patience=60)
    assert wanted(scaling, 0, 0, 100) == 2
    assert wanted(scaling, 45, 100.5, AT_LEAST - 1) == 2  # a burst
    assert wanted(scaling, 0, 103, 100) == 2
    assert wanted(scaling, 35, 203.5, AT_LEAST + 1) == 4
    assert wanted(scaling, 900, 208, AT_LEAST + 1) == 5
    assert wanted(scaling, 0, 212.5, 55) == 5
    assert wanted(scaling, 31, 268, 1) == 5  # so many were needed just now
    assert wanted(scaling, 0, 270, 59) == 4
    assert wanted(scaling, 0, 329.5, 61) == 2


def test_a_replica_that_is_not_heard_of_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    registry = Registry()
    registry.join("one", "k1")
    registry.join("two", "k2")
    now = FRESH - 1
    registry.join("two", "k2")
    assert registry.listing() == {"one": "k1", "two": "k2"}
    now = FRESH + 1
    assert registry.listing() == {"two": "k2"}
    registry.leave("two")
    registry.leave("two")
    assert registry.listing() == {}


class Pretended:
    """A cluster whose replicas are addresses."""

    def __init__(self) -> None:
        self.there: dict[str, str] = {}
        self.calls: list[tuple[str, list[int]]] = []
        self.refuses = False

    def start(self, settings: Any, numbers: Iterable[int]) -> None:
        self.calls.append(("start", list(numbers)))
        if self.refuses:
            raise TramontaneError("no room")
        self.there |= {f"http://r{number}:1": "key" for number in self.calls[-1][1]}

    def replace(self, settings: Any, number: int) -> None:
        self.calls.append(("replace", [number]))

    def end(self, numbers: Iterable[int]) -> None:
        self.calls.append(("end", list(numbers)))
        for number in self.calls[-1][1]:
            del self.there[f"http://r{number}:1"]

    def listing(self) -> dict[str, str]:
        return dict(self.there)

    def stop(self) -> None:
        self.calls.append(("stop", []))


def test_the_router_follows_the_cluster() -> None:
    async def act() -> None:
        settings, _ = _settings(["x", "--replicas", "2"])
        deploy = DeploySettings(replicas=2, max_replicas=4, scale_at=1)
        cluster: Any = Pretended()
        watching = Watching(lambda: settings, deploy, lambda _: cluster)
        router = Router(router_settings(settings), Replicas())
        await watching.start(router)
        assert [one.url for one in router.replicas] == ["http://r0:1", "http://r1:1"]
        assert [one.key for one in router.replicas] == ["key", "key"]

        async def until(calls: list[tuple[str, list[int]]]) -> None:
            async with asyncio.timeout(20):
                while cluster.calls != calls:
                    await asyncio.sleep(0.02)

        await watching.reload(router)
        begun = [("start", [0, 1]), ("replace", [0]), ("replace", [1])]
        await until(begun)
        next(iter(router.replicas)).running = 3
        await until([*begun, ("start", [2])])
        async with asyncio.timeout(20):
            while len(router.replicas) != 3:
                await asyncio.sleep(0.02)
        await watching.stop(router)
        assert cluster.calls[-1] == ("stop", [])
        await router.close()

    asyncio.run(act())


def test_without_ray_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['ray'] = None; from tramontane.cli.main import main; "
    done = subprocess.run(
        [sys.executable, "-c", f"{code}sys.exit(main(['deploy', 'x', '--port', '0']))"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    said = "error: deploying needs Ray: pip install 'tramontane-plugin-ray[ray]'\n"
    assert done.stderr.endswith(said)
    assert "Traceback" not in done.stderr


def test_its_key_is_shown_to_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["authorization"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "")
        process = object.__new__(ServerProcess)
        process.url, process.key = f"http://127.0.0.1:{server.server_address[1]}", "secret"
        process._get("/health")
        server.shutdown()
    assert asked == [("/health", "Bearer secret")]


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_the_server_of_a_replica_ends_with_it() -> None:
    code = (
        "import os, signal, sys; from tramontane_plugin_ray.server_process import ServerProcess; "
        "from tramontane_plugin_server.settings import read; "
        "one = ServerProcess(read(None, {'load': 'demand', 'port': 0}), '127.0.0.1', '.'); "
        "one.check(); print(one.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    end = time.monotonic() + 30
    while not ended(int(done.stdout)):
        assert time.monotonic() < end
        time.sleep(0.05)
