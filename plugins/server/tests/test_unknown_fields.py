"""Fields that nobody knows: passed over, named in a header and once in the log, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .live_server import Live, serving

TURN = [{"role": "user", "content": "Tell me a story"}]
CHAT: dict[str, Any] = {"messages": TURN, "max_tokens": 2}
TEXT: dict[str, Any] = {"prompt": "Once", "max_tokens": 2}
RESPONSE: dict[str, Any] = {"input": "Tell me a story", "max_output_tokens": 2}
MESSAGE: dict[str, Any] = {"messages": TURN, "max_tokens": 2}
TOOL = {"type": "function", "function": {"name": "f", "x1": 1}, "x2": 2}
FLAT = {"type": "function", "name": "f", "x3": 3}
SCHEMA = {"name": "f", "input_schema": {"type": "object", "x": 1}, "x4": 4}
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/chat/completions", {**CHAT, "tempreature": 1}, "tempreature"),
    ("/v1/chat/completions", {**CHAT, "tools": [TOOL, {**TOOL, "function": {"name": "g"}}],
                              "tool_choice": "none"}, "tools[].x2, tools[].function.x1"),
    ("/v1/chat/completions", {**CHAT, "tools": [{"type": "web_search"}]},
     "tools[].type=web_search"),
    ("/v1/chat/completions", {**CHAT, "stream": True, "stream_options": {"z": None}},
     "stream_options.z"),
    ("/v1/chat/completions?deployment=x&api-version=1", CHAT, "?deployment"),
    ("/v1/completions", {**TEXT, "n_probs": 1, "cache_prompt": True}, "n_probs, cache_prompt"),
    ("/v1/responses", {**RESPONSE, "max_tokens": 3, "text": {"format": {"type": "text", "y": 1}}},
     "max_tokens, text.format.y"),
    ("/v1/responses", {**RESPONSE, "tools": [FLAT, {"type": "custom", "name": "p"}],
                       "tool_choice": "none"}, "tools[].x3, tools[].type=custom"),
    ("/v1/responses", {**RESPONSE, "input": [{"role": "user", "name": "y", "content": [
        {"type": "input_text", "text": "Hi", "z": 1}]}]}, "input[].name, input[].content[].z"),
    ("/v1/responses/input_tokens", {"input": "Hi", "w": 1}, "w"),
    ("/v1/messages?beta=true", {**MESSAGE, "n": 2}, "n"),
    ("/v1/messages", {**MESSAGE, "messages": [{"role": "user", "m": 1, "content": [
        {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "scope": "global"}}
    ]}]}, "messages[].m, messages[].content[].cache_control.scope"),
    ("/v1/messages", {**MESSAGE, "tools": [SCHEMA, {"type": "bash_20250124", "name": "bash"}],
                      "tool_choice": {"type": "none"}}, "tools[].x4, tools[].type=bash_20250124"),
    ("/v1/messages/count_tokens", {"messages": TURN, "n": 2, "stream": False}, "n, stream"),
    ("/tokenize", {"prompt": "Once", "parse_special": True}, "parse_special"),
    ("/detokenize", {"tokens": [98], "v": 1}, "v"),
    ("/v1/models/status", {"model_id": "default", "u": 1}, "u"),
    ("/v1/chat/completions", {**CHAT, "a\r\nset-cookie: b": 1, "é,": 2}, "a??set-cookie:?b, ??"),
]  # fmt: skip


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    template = Path(__file__).with_name("thinking.jinja")
    options = ("--strict-fields", "--chat-template", str(template))
    with serving(tmp_path_factory.mktemp("strict"), *options) as live:
        yield live


@pytest.mark.parametrize(("path", "body", "named"), CASES)
def test_unknown_fields_are_passed_over_and_named(
    thinking: Live, path: str, body: dict[str, Any], named: str
) -> None:
    with thinking.client() as client:
        answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tramontane-ignored"] == named


@pytest.mark.parametrize(("path", "body", "named"), CASES)
def test_a_strict_server_refuses_them(
    strict: Live, path: str, body: dict[str, Any], named: str
) -> None:
    with strict.client() as client:
        answer = client.post(path, json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    first = named.partition(", ")[0]
    if "=" in first:
        assert "is not supported" in error["message"]
    else:
        assert "unknown parameter" in error["message"]
        assert first.rpartition(".")[2] in error["message"]
    if "messages" not in path:
        assert error["param"].replace(".0", "[]") == first
        assert error["code"] in ("unknown_parameter", "unsupported_parameter")


def test_known_requests_name_nothing_and_pass_a_strict_server(strict: Live, live: Live) -> None:
    for server in (live, strict):
        with server.client() as client:
            for path, body in [
                ("/v1/chat/completions", {**CHAT, "user": "x", "audio": None}),
                ("/v1/messages?beta=true", {**MESSAGE, "metadata": {"user_id": "x"}}),
                ("/v1/responses", {**RESPONSE, "reasoning": {"summary": "auto"}}),
            ]:
                answer = client.post(path, json=body)
                assert answer.status_code == 200, answer.text
                assert "x-tramontane-ignored" not in answer.headers


def test_the_answer_is_the_same_as_without_them(live: Live) -> None:
    with live.client() as client:
        plain, more = (
            client.post("/v1/chat/completions", json={**CHAT, **extra}).json()["choices"]
            for extra in ({}, {"sampling": "none", "toolbox": 1, "model_dump": 2, "_refuse": 3})
        )
    assert plain == more


def test_what_is_known_and_not_here_is_still_refused(live: Live) -> None:
    with live.client() as client:
        for path, body, param in [
            ("/v1/chat/completions", {**CHAT, "audio": {}}, "audio"),
            ("/v1/responses", {**RESPONSE, "reasoning": {"summary": "detailed"}},
             "reasoning.summary"),
            ("/v1/responses", {**RESPONSE, "tools": [{**FLAT, "async": True}]}, "tools.0.async"),
        ]:  # fmt: skip
            error = client.post(path, json=body).json()["error"]
            assert (error["param"], error["code"]) == (param, "unsupported_parameter")


def test_the_header_and_the_log_are_bounded(live: Live) -> None:
    many = {f"unknown_{i:05}": i for i in range(2000)}
    with live.client() as client:
        for body in ({**CHAT, **many}, {**CHAT, "x" * 5000: 1}, {**CHAT, **many}):
            answer = client.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200
            assert len(answer.headers["x-tramontane-ignored"]) < 1000
        for start in range(0, 2000, 20):
            few = {f"unknown_{i:05}": i for i in range(start, start + 20)}
            assert client.post("/tokenize", json={"prompt": "", **few}).status_code == 200
    lines = [line for line in live.log.read_text().splitlines() if "unknown_00001 is" in line]
    assert len(lines) == 2  # once for each route
    log = live.log.read_text()
    assert log.count("is ignored (logged once)") <= 256
    assert log.count("no more are logged") == 1


@pytest.mark.parametrize(
    "path", ["/v1/models?limit=1", "/v1/models/default?x=1", "/v1/responses/resp_1?y=1"]
)
def test_query_strings_too(live: Live, strict: Live, path: str) -> None:
    named = "?" + path.partition("?")[2].partition("=")[0]
    with live.client() as client:
        answer = client.get(path)
    assert answer.status_code == (404 if "responses" in path else 200)
    assert answer.headers["x-tramontane-ignored"] == named
    with strict.client() as client:
        assert client.get(path).json()["error"]["param"] == named
        paged = client.get("/v1/models?limit=1", headers={"anthropic-version": "2023-06-01"})
        assert paged.status_code == 200
