"""`tramontane route` as a process of its own, before servers of ours."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from .routed import process


@contextlib.contextmanager
def program(log: Path, *options: str, wanted: str = "ready at ") -> Iterator[tuple[int, str]]:
    """A command of ours that serves: its process id and address."""
    with log.open("wb") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", "tramontane", *options], stdout=out, stderr=out
        )
    try:
        end = time.monotonic() + 120
        while wanted not in log.read_text():
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        said = log.read_text().partition(wanted)[2]
        yield running.pid, said.split()[0].removesuffix("/v1")
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
    finally:
        running.kill()
        running.wait()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A server with the embedded model and a key, and a router before it."""
    folder = tmp_path_factory.mktemp("servers")
    key = folder / "key"
    key.write_text("of-the-replicas\n")
    options = ("serve", "--port", "0", "--admin-key-file", str(key), "--threads", "1")
    options = (*options, "--tools", "files", "--approvals", "auto", "--tool-folder", str(folder))
    with (
        program(folder / "one", *options) as (_, one),
        program(
            folder / "router", "route", "--port", "0", "--to", one,
            "--replica-key-file", str(key), "--api-key", "client", "--check-interval", "0.2",
            "--api-key", "another",
        ) as (_, url),
    ):  # fmt: skip
        with httpx.Client(base_url=url, headers={"authorization": "Bearer client"}) as client:
            end = time.monotonic() + 60
            while client.get("/ready").json().get("replicas") != 1:
                assert time.monotonic() < end
                time.sleep(0.05)
        yield [one, url]


def test_every_api_answers_through_the_router(servers: list[str]) -> None:
    import openai

    with (
        openai.OpenAI(base_url=f"{servers[1]}/v1", api_key="client", max_retries=0) as client,
        openai.OpenAI(base_url=f"{servers[0]}/v1", api_key="of-the-replicas") as direct,
    ):
        asked = {"model": "default", "temperature": 0, "max_tokens": 12, "stream": True,
                 "messages": [{"role": "user", "content": "What is 2 + 3?"}]}  # fmt: skip

        def text(one: openai.OpenAI) -> str:
            stream = one.chat.completions.create(**asked)  # type: ignore[call-overload]
            return "".join(part.choices[0].delta.content or "" for part in stream if part.choices)

        assert text(client) == text(direct) != ""
        assert [one.id for one in client.models.list()] == [one.id for one in direct.models.list()]
        names = []
        for number in range(4):
            made = client.responses.create(
                model="default", input=f"{number} " * 20, max_output_tokens=4
            )
            names.append(made.id)
        for name in names:
            assert client.responses.retrieve(name).id == name
            more = client.responses.create(
                model="default", input="And?", previous_response_id=name, max_output_tokens=4
            )
            assert more.previous_response_id == name
            listed = client.responses.input_items.list(name)
            assert len(listed.data) == 1
        with pytest.raises(openai.BadRequestError, match="temperature"):
            client.completions.create(model="default", prompt="x", temperature=-1)
        with pytest.raises(openai.NotFoundError, match="there is no model 'gpt'"):
            client.completions.create(model="gpt", prompt="x")


def test_messages_tokens_and_pages_go_through(servers: list[str]) -> None:
    headers = {"x-api-key": "client", "anthropic-version": "2023-06-01"}
    with httpx.Client(base_url=servers[1], headers=headers, timeout=60) as client:
        said = {"model": "default", "max_tokens": 5, "stream": True,
                "messages": [{"role": "user", "content": "hi"}]}  # fmt: skip
        events = client.post("/v1/messages", json=said).text
        assert "event: message_start" in events
        assert "event: message_stop" in events
        counted = client.post("/v1/messages/count_tokens", json={**said, "max_tokens": None})
        assert counted.json()["input_tokens"] > 0
        wrong = client.post("/v1/messages", json={**said, "max_tokens": "x"})
        assert wrong.status_code == 400
        assert wrong.json()["type"] == "error"
        assert client.get("/docs").status_code == 200
        assert client.get("/nowhere").status_code == 404
        assert client.post("/v1/models/unload", json={"model": "default"}).status_code == 403
        page = client.get("/metrics").text
        assert f'tramontane_prefix_cache_queries_total{{replica="{servers[0]}",model_name=' in page
    assert httpx.get(f"{servers[1]}/v1/models").status_code == 401


def test_sessions_of_two_clients_do_not_meet(servers: list[str]) -> None:
    """The keys have no names, and the replica is sent its own."""
    asked = {"messages": "hi", "max_tokens": 2, "session_id": "mine"}
    with httpx.Client(base_url=servers[1], timeout=60) as client:

        def files(key: str) -> int:
            headers = {"authorization": f"Bearer {key}", "x-tramontane-owner": "client"}
            whose = {"session_id": "mine"}
            return client.get("/v1/agent/files", params=whose, headers=headers).status_code

        assert files("client") == files("another") == 404
        headers = {"authorization": "Bearer client"}
        assert client.post("/v1/chat/completions", json=asked, headers=headers).status_code == 200
        assert (files("client"), files("another")) == (200, 404)
    own = {"authorization": "Bearer of-the-replicas"}
    url = f"{servers[0]}/v1/agent/files?session_id=mine"
    assert httpx.get(url, headers=own).status_code == 404


def test_replicas_are_read_again_on_a_hangup(tmp_path: Path) -> None:
    listed, log = tmp_path / "replicas", tmp_path / "log"
    with process() as (_, one), process() as (_, two):
        listed.write_text(f"# ours\n{one}\n\n")
        options = ("--port", "0", "--replicas-file", str(listed), "--check-interval", "0.05")
        with program(log, "route", *options) as (pid, url):

            def replicas() -> list[str]:
                found = httpx.get(f"{url}/replicas").json()["data"]
                return [each["url"] for each in found if each["state"] == "ready"]

            def wait(expected: list[str]) -> None:
                end = time.monotonic() + 30
                while replicas() != expected:
                    assert time.monotonic() < end, (replicas(), expected)
                    time.sleep(0.02)

            wait([one])
            for text, expected in ((f"{one}\n{two}/\n", [one, two]), (f"{two}\n", [two])):
                listed.write_text(text)
                subprocess.run(["kill", "-HUP", str(pid)], check=True)
                wait(expected)
            listed.write_text("nonsense\n")
            subprocess.run(["kill", "-HUP", str(pid)], check=True)
            end = time.monotonic() + 30
            while "'nonsense' is not the address of a replica" not in log.read_text():
                assert time.monotonic() < end
                time.sleep(0.02)
            wait([two])
            body = {"messages": [{"role": "user", "content": "x"}]}
            assert httpx.post(f"{url}/v1/chat/completions", json=body).status_code == 200
            assert json.loads(httpx.get(f"{url}/health").text) == {"status": "ok"}
