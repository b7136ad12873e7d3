"""What every request meets, whatever its path: keys, limits, ids, figures, other origins."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openai
import pytest
from tramontane_plugin_server.app import build
from tramontane_plugin_server.app_state import Serving
from tramontane_plugin_server.settings import read

from .live_server import Live, serving

CHAT = {"messages": "Tell me a story", "max_tokens": 4}
KEY = "sesame-öffne"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("guarded")
    keys = folder / "keys"
    keys.write_text(f"other\n{KEY}\n")
    options = ["--api-key-file", str(keys), "--cors-origin", "https://page.example"]
    options += ["--no-pages", "--max-body", "2000", "--access-log", "json", "--body-timeout", "0.5"]
    with serving(folder, *options) as live:
        yield live


def routes() -> list[tuple[str, str]]:
    """Every method and path that there is."""
    app = build(Serving(read(None, {"pages": False})))  # plugins' pages have tests of their own
    while not hasattr(app, "routes"):
        app = app._app  # type: ignore[attr-defined]
    found = [(m, r.path) for r in app.routes for m in getattr(r, "methods", ())]
    described = app.openapi()["paths"]
    found += [(m.upper(), path) for path, methods in described.items() for m in methods]
    return sorted(set(found))


def test_there_are_routes_to_walk() -> None:
    assert ("POST", "/v1/chat/completions") in routes()
    assert ("GET", "/openapi.json") in routes()


@pytest.mark.parametrize(("method", "path"), routes())
@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": ""}])
def test_every_route_but_health_needs_a_key(
    guarded: Live, method: str, path: str, header: dict[str, str]
) -> None:
    path = path.replace("{model_id:path}", "default").replace("{model_id}", "default")
    answer = httpx.request(method, guarded.url + path, headers=header)
    if path == "/health":
        assert answer.status_code in (200, 405)
        return
    assert answer.status_code == 401
    if method != "HEAD":
        assert "key" in json.dumps(answer.json()["error"])


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_a_key_opens(guarded: Live, name: str) -> None:
    value = KEY.encode() if name == "x-api-key" else b"Bearer " + KEY.encode()
    with guarded.client(headers={name.encode(): value}) as client:  # type: ignore[dict-item]
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200


def test_bodies_have_a_limit_in_size_and_time(guarded: Live) -> None:
    with guarded.client(headers=[(b"x-api-key", KEY.encode())]) as client:
        answer = client.post("/v1/completions", json={"prompt": "x" * 3000})
        assert answer.status_code == 413
        assert "larger than 2000 bytes" in answer.json()["error"]["message"]
        chunks = (b"x" * 100 for _ in range(100))
        assert client.post("/v1/completions", content=chunks).status_code == 413


LARGE = 24 << 20
"""Bytes that no system keeps between two programs: a client that sends them waits for a reader."""


@pytest.mark.parametrize("kind", ["chat", "completion", "response"])
def test_the_official_client_reads_that_a_body_is_too_large(guarded: Live, kind: str) -> None:
    text = "x" * LARGE
    with openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="other", max_retries=0) as client:
        calls: dict[str, Any] = {
            "chat": lambda: client.chat.completions.create(
                model="default", messages=[{"role": "user", "content": text}]
            ),
            "completion": lambda: client.completions.create(model="default", prompt=text),
            "response": lambda: client.responses.create(model="default", input=text),
        }
        with pytest.raises(openai.APIStatusError) as caught:
            calls[kind]()
    assert caught.value.status_code == 413
    assert "larger than 2000 bytes" in caught.value.message


@pytest.mark.parametrize("how", ["whole", "in chunks", "raw"])
def test_every_client_reads_that_a_body_is_too_large(guarded: Live, how: str) -> None:
    if how == "raw":  # which looks for an answer only once it has sent all
        host, _, port = guarded.url.removeprefix("http://").rpartition(":")
        head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {LARGE}\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=60) as sock:
            sock.sendall(head.encode() + b"x" * LARGE)
            found = b"".join(iter(lambda: sock.recv(1 << 16), b""))
        assert found.startswith(b"HTTP/1.1 413")
        assert b"larger than 2000 bytes" in found
        return
    chunks = (b"x" * (1 << 16) for _ in range(LARGE >> 16))
    with guarded.client(headers=[(b"x-api-key", KEY.encode())]) as client:
        content: Any = chunks if how == "in chunks" else b"x" * LARGE
        answer = client.post("/v1/completions", content=content)
    assert answer.status_code == 413
    assert "larger than 2000 bytes" in answer.json()["error"]["message"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
def test_curl_reads_that_a_body_is_too_large(guarded: Live, tmp_path: Path, expect: str) -> None:
    (tmp_path / "body").write_bytes(b"x" * LARGE)
    found = subprocess.run(
        ["curl", "-sS", "-w", "%{http_code}", "-H", expect, "-H", f"x-api-key: {KEY}",
         "--data-binary", f"@{tmp_path / 'body'}", f"{guarded.url}/v1/completions"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.endswith("413")
    assert "larger than 2000 bytes" in found.stdout


def test_a_large_body_without_a_key_is_refused_readably(guarded: Live) -> None:
    with guarded.client() as client:
        answer = client.post("/v1/completions", content=b"x" * LARGE)
    assert answer.status_code == 401


def test_pages_of_other_origins(guarded: Live) -> None:
    asked = {"access-control-request-method": "POST", "origin": "https://page.example"}
    with guarded.client() as client:
        allowed = client.options("/v1/chat/completions", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://page.example"
        other = client.options(
            "/v1/chat/completions", headers={**asked, "origin": "https://evil.example"}
        )
        assert "access-control-allow-origin" not in other.headers


def test_a_page_cannot_ask_without_being_asked_itself(live: Live) -> None:
    # a form or a plain fetch sends text/plain, which no browser asks permission for
    answer = httpx.post(
        f"{live.url}/v1/chat/completions",
        content=json.dumps(CHAT),
        headers={"content-type": "text/plain"},
    )
    assert answer.status_code == 415
    assert "'content-type: application/json'" in answer.json()["error"]["message"]


def test_requests_have_ids_and_lines(guarded: Live) -> None:
    with guarded.client(headers=[(b"x-api-key", KEY.encode())]) as client:
        mine = client.get("/v1/models", headers={"x-request-id": "my-own-1"})
        assert mine.headers["x-request-id"] == "my-own-1"
        other = client.get("/v1/models", headers={"x-request-id": "two words"})
        assert len(other.headers["x-request-id"]) == 32
        client.get("/nope%0anope")
        guarded.wait_for_line("/nope")  # it is written after the answer
    lines = [json.loads(line) for line in guarded.log.read_text().splitlines() if line[0] == "{"]
    named = next(line for line in lines if line["id"] == "my-own-1")
    assert (named["method"], named["path"], named["status"]) == ("GET", "/v1/models", 200)
    assert any(line["path"] == "/nope\nnope" for line in lines)


@pytest.mark.parametrize(
    ("path", "body", "answers"),
    [
        ("/v1/chat/completions", {**CHAT, "n": 2}, 8),
        ("/v1/chat/completions", {**CHAT, "stream": True}, 4),
        ("/v1/completions", {"prompt": ["Once", "Once"], "max_tokens": 4}, 8),
        ("/v1/responses", {"input": "Tell me a story", "max_output_tokens": 4}, 4),
        ("/v1/messages", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}, 3),
    ],
)
def test_the_access_log_has_models_and_tokens(
    guarded: Live, path: str, body: dict[str, object], answers: int
) -> None:
    identity = uuid.uuid4().hex
    with guarded.client(headers=[(b"x-api-key", KEY.encode())]) as client:
        client.post(path, json=body, headers={"x-request-id": identity})
        guarded.wait_for_line(identity)
    (line,) = [json.loads(one) for one in guarded.log.read_text().splitlines() if identity in one]
    assert (line["model"], line["completion_tokens"]) == ("default", answers)
    assert line["prompt_tokens"] > 0
    assert 0 <= line["cached_tokens"] <= line["prompt_tokens"]


def test_figures_for_prometheus(live: Live) -> None:
    before = live.figure("tramontane_generation_tokens_total")
    with live.client() as client:
        client.post("/v1/chat/completions", json=CHAT)
    assert live.figure("tramontane_generation_tokens_total") == before + 4
    text = httpx.get(f"{live.url}/metrics").text
    for name in (
        "tramontane_time_to_first_token_seconds_bucket", "tramontane_kv_cache_usage_perc",
        "tramontane_inter_token_latency_seconds_count", "tramontane_num_requests_waiting",
        "tramontane_prefix_cache_hits_total", 'tramontane_request_success_total{finished_reason="',
        "tramontane_num_preemptions_total", "tramontane_forced_tokens_total",
        "tramontane_e2e_request_latency_seconds_sum",
        'http_requests_total{handler="/v1/chat/completions",method="POST",status="200"}',
        "http_request_duration_seconds_bucket", "http_requests_in_flight",
    ):  # fmt: skip
        assert name in text


def test_handlers_have_names_in_the_figures(live: Live) -> None:
    with live.client() as client:
        for path in ("/openapi.json", "/docs", "/", "/nope"):
            client.get(path)
        text = client.get("/metrics").text
    for handler in ("/openapi.json", "/docs", "/", "other"):
        assert f'http_requests_total{{handler="{handler}",method="GET"' in text


def test_head_is_get_without_a_body(live: Live) -> None:
    with live.client() as client:
        for method, path in routes():
            if method == "GET" and "{" not in path:
                head, get = client.head(path), client.get(path)
                assert (head.status_code, head.content) == (get.status_code, b"")
                assert head.headers.get("content-type") == get.headers.get("content-type")
                if path != "/metrics":  # they count this one
                    assert head.headers["content-length"] == get.headers["content-length"]


def test_without_a_page_of_a_plugin_there_is_the_documentation(guarded: Live) -> None:
    with httpx.Client(base_url=guarded.url, headers={"x-api-key": "other"}) as client:
        assert client.get("/").headers["location"] == "docs"


def test_allow_names_every_method_of_a_path(live: Live) -> None:
    paths = sorted({path for _, path in routes()})
    with live.client() as client:
        for path in paths:
            answer = client.request("PUT", path.replace("{model_id:path}", "unload"))
            assert answer.status_code == 405
            allowed = set(answer.headers["allow"].split(", "))
            assert {method for method, other in routes() if other == path} <= allowed
            assert ("HEAD" in allowed) == ("GET" in allowed)
        two = client.options("/v1/models/unload").headers["allow"]
        assert two == "GET, HEAD, POST"
        assert client.options("/v1/responses/x").headers["allow"] == "GET, HEAD, DELETE"


def test_health_ready_and_docs(live: Live) -> None:
    with live.client() as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/ready").json() == {"status": "ready"}
        page = client.get("/docs").text
        assert '<h2 id="post-v1-chat-completions">' in page
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)  # it fetches nothing
        assert client.get("/openapi.json").json()["info"]["title"] == "Tramontane"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the body is required"),
        (b"{", "the body is not JSON"),
        (b"[]", "the body must be an object"),
        (b'"\\ud800"', "the body must be an object"),
        (b"\xff\xfe", "the body"),
        (b'{"messages": "x", "temperature": NaN}', "temperature"),
        (b'{"messages": "x", "max_tokens": 1e400}', "max_tokens"),
        (b'{"messages": "\\ud800"}', "half of a surrogate pair"),
        (b'{"messages": "x", "logit_bias": {"x": 1}}', "logit_bias"),
        (b"[" * 100_000, "the body"),
    ],
)
def test_bodies_that_are_none(live: Live, content: bytes, said: str) -> None:
    answer = httpx.post(
        f"{live.url}/v1/chat/completions",
        content=content,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_tokens_there_and_back(live: Live) -> None:
    with live.client() as client:
        told = client.post("/tokenize", json={"prompt": "Once upon a time"}).json()
        assert told["count"] == len(told["tokens"]) > 0
        assert told["max_model_len"] == 512
        back = client.post("/detokenize", json={"tokens": told["tokens"]}).json()
        assert back == {"prompt": "Once upon a time"}
        chat = client.post("/tokenize", json={"messages": [{"role": "user", "content": "Hi"}]})
        assert chat.json()["count"] > 3
        beyond = client.post("/detokenize", json={"tokens": [10**9]})
        assert "outside the vocabulary" in beyond.json()["error"]["message"]
        both = client.post("/tokenize", json={"prompt": "a", "messages": [{"role": "user"}]})
        assert "either prompt or messages" in both.json()["error"]["message"]


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    transport = httpx.HTTPTransport(uds=str(path))
    with serving(tmp_path, "--uds", str(path)), httpx.Client(transport=transport) as client:
        assert client.get("http://here/ready").json() == {"status": "ready"}
