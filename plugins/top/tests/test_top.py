"""What is read of a server, and what is shown of it."""

from __future__ import annotations

import http.server
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from rich.console import Console
from tramontane.cli.main import main
from tramontane_plugin_top import reading as reading_module
from tramontane_plugin_top.command import KEY
from tramontane_plugin_top.frame import frame
from tramontane_plugin_top.reading import Reading, ServerGone, parsed, read

TEXT = """\
# TYPE tramontane_generation_tokens counter
tramontane_generation_tokens_total{model_name="a"} 600.0
tramontane_num_requests_running{model_name="a"} 2.0
tramontane_time_to_first_token_seconds_bucket{le="1.0",model_name="a"} 9.0
tramontane_time_to_first_token_seconds_count{model_name="a"} 4.0
tramontane_time_to_first_token_seconds_sum{model_name="a"} 0.5
tramontane_prefix_cache_queries_total{model_name="a"} 200.0
tramontane_prefix_cache_hits_total{model_name="a"} 50.0
tramontane_kv_cache_usage_perc{model_name="a"} 0.25
http_requests_in_flight 3.0
http_requests_total{handler="/x",method="GET",status="200"} 4.0
http_requests_total{handler="/y",method="GET",status="200"} 5.0
"""
MODELS = (
    {"id": "a", "status": "loaded", "parent": None},
    {"id": "poet", "status": "loaded", "parent": "a"},
)


def shown(before: Reading, now: Reading) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(frame("http://server", before, now))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def reading(when: float, text: str) -> Reading:
    return Reading(when, "ready", *parsed(text), MODELS)


def test_a_frame_has_rates_shares_models_and_adapters() -> None:
    later = TEXT.replace("600.0", "700.0").replace(
        '_count{model_name="a"} 4', '_count{model_name="a"} 5'
    )
    later = later.replace("0.5", "0.6").replace(
        '/y",method="GET",status="200"} 5', '/y",method="GET",status="200"} 15'
    )
    lines = shown(reading(10.0, TEXT), reading(12.0, later)).splitlines()
    assert "http://server" in lines[0]
    assert "ready" in lines[0]
    columns = ["model", "state", "run", "wait", "in/s", "out/s", "first", "KV", "hits", "drafts"]
    assert lines[1].strip("│ ").split() == columns
    row = ["a", "loaded", "2", "0", "0", "50.0", "100ms", "25%", "25%", "0%"]
    assert lines[2].strip("│ ").split() == row
    assert lines[3].strip("│ ").split() == ["+", "poet", "adapter"]
    assert lines[5].strip("│ ") == "3 HTTP requests open   5.0 a second   200: 19"


def test_a_counter_that_began_again_has_no_rate() -> None:
    lines = shown(reading(1.0, TEXT), reading(2.0, TEXT.replace("600.0", "5.0"))).splitlines()
    assert lines[2].strip("│ ").split()[5] == "0.0"


def test_names_of_strangers_are_only_text() -> None:
    model = {"id": "[b]x\x1b[2J\n", "status": "[b]", "parent": None}
    text = shown(Reading(0, "ready", {}), Reading(1, "ready", {}, {}, (model,)))
    assert "[b]x\\x1b[2J" in text
    assert "\x1b" not in text


class Answers(http.server.BaseHTTPRequestHandler):
    pages: dict[str, tuple[int, str]]

    def do_GET(self) -> None:
        status, text = self.pages[self.path]
        if self.headers.get("authorization") != "Bearer right":
            status, text = 401, "{}"
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Answers.pages = {
        "/metrics": (200, TEXT),
        "/ready": (503, '{"status": "loading a"}'),
        "/v1/models": (200, json.dumps({"data": MODELS})),
    }
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as found:
        threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


def client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"authorization": "Bearer right"})


def test_a_server_that_is_not_ready_is_shown(server: str) -> None:
    with client(server) as asking:
        found = read(asking)
    assert (found.ready, found.of("num_requests_running", "a")) == ("loading a", 2.0)


@pytest.mark.parametrize(
    ("path", "status", "text", "said"),
    [
        ("/metrics", 200, "a{b 1", "cannot be read"),
        ("/metrics", 404, "", "status 404"),
        ("/metrics", 200, "x" * 5000, "more than 4096 bytes"),
        ("/v1/models", 200, "<html>", "not JSON"),
    ],
)
def test_what_is_no_server_of_ours_is_an_error(
    server: str, path: str, status: int, text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_module, "LARGEST", 4096)
    Answers.pages[path] = (status, text)
    with client(server) as asking, pytest.raises(ServerGone, match=said):
        read(asking)


def test_a_page_of_another_shape_is_no_crash(server: str) -> None:
    for text in ("[]", "7", '{"data": [1, {"id": 2}]}'):
        Answers.pages["/v1/models"] = (200, text)
        with client(server) as asking:
            shown(read(asking), read(asking))


def test_one_frame_with_a_key_of_a_file(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    keys = tmp_path / "keys"
    keys.write_text("# keys\n\nann: right requests_per_minute=9\nother\n")
    arguments = ["top", f"{server}/v1", "--once", "--interval", "0.1"]
    assert main([*arguments, "--api-key-file", str(keys)]) == 0
    assert "loading a" in capsys.readouterr().out
    monkeypatch.setenv(KEY, "right")
    assert main(arguments) == 0
    capsys.readouterr()
    monkeypatch.setenv(KEY, "wrong")
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert f"{server} refuses /metrics without a valid key; set {KEY}" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ftp://x"], "'ftp://x' is no address of a server"),
        (["http://"], "is no address"),
        (["http://h:99999"], "is no address"),
        (["--interval", "0"], "--interval 0: from 0.1 to 3600 seconds"),
        (["--api-key-file", "/nowhere"], "--api-key-file /nowhere: "),
        (["--ca", "/nowhere"], "--ca /nowhere: "),
        (["http://127.0.0.1:9"], "http://127.0.0.1:9 gives no answer"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    assert main(["top", "--once", *arguments]) != 0
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_key_that_no_header_can_have(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "kéy")
    assert main(["top", "--once"]) == 2
    assert "kéy" not in capsys.readouterr().err
