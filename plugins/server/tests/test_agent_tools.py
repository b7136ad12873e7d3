"""Toolsets in the server: approvals in the stream, sessions, and what a request may ask for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tramontane.agent.toolsets import Toolsets

from .live_server import Live, serving

ASK = [{"role": "user", "content": "What files are there?"}]
OPTIONS = {
    "messages": ASK, "max_tokens": 60, "stream": True, "temperature": 0,
    "parallel_tool_calls": False, "tool_choice": {"type": "function", "function": {}},
}  # fmt: skip


@pytest.fixture(scope="module")
def acting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("acting")
    template = Path(__file__).with_name("hermes.jinja")
    options = ["--chat-template", str(template), "--tools", "files", "--tool-folder", str(folder)]
    more = ["--approvals", "read=ask,write=deny", "--max-tool-rounds", "1"]
    with serving(folder, *options, *more, "--approval-timeout", "20") as live:
        yield live
        live.idle()


def asked(tool: str, **more: Any) -> dict[str, Any]:
    return {**OPTIONS, "tool_choice": {"type": "function", "function": {"name": tool}}, **more}


def notices(
    live: Live, body: dict[str, Any], answer: Callable[[dict[str, Any]], Any] = lambda said: None
) -> list[dict[str, Any]]:
    """What the stream of a request tells of tools. answer: called with each of it."""
    found = []
    with live.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as got:
        assert got.status_code == 200, got.read()
        for line in got.iter_lines():
            if line.startswith("data: {"):
                chunk = json.loads(line[6:])
                assert "error" not in chunk, chunk
                for choice in chunk["choices"]:
                    if said := choice["delta"].get("server_tool"):
                        found.append(said)
                        answer(said)
    return found


@pytest.fixture
def approve(acting: Live) -> Callable[..., Any]:
    def send(identity: str, **body: Any) -> Any:
        with acting.client() as client:
            return client.post(f"/v1/agent/approvals/{identity}", json=body)

    return send


def test_a_call_waits_for_its_approval(acting: Live, approve: Callable[..., Any]) -> None:
    def answer(said: dict[str, Any]) -> None:
        if said["type"] == "approval":
            assert (said["name"], said["risk"], said["expires_in"]) == ("list_files", "read", 20)
            done = approve(said["id"], allow=True)
            assert (done.status_code, done.json()["allow"]) == (200, True)
            assert approve(said["id"], allow=True).status_code == 404

    told = notices(acting, asked("list_files", tool_approvals=True), answer)
    assert [one["type"] for one in told] == ["approval", "started", "finished"]
    assert len({one["id"] for one in told}) == 1
    assert told[-1]["result"] == "there are no files"


def test_a_refusal_is_told_to_the_model(acting: Live, approve: Callable[..., Any]) -> None:
    def answer(said: dict[str, Any]) -> None:
        if said["type"] == "approval":
            approve(said["id"], allow=False, reason="not today")

    told = notices(acting, asked("list_files", tool_approvals=True), answer)
    assert [one["type"] for one in told] == ["approval", "finished"]
    assert told[-1]["result"] == "error: not today"


def test_what_a_client_cannot_be_asked_for_is_refused(acting: Live) -> None:
    (told,) = notices(acting, asked("list_files"))
    assert "needs the user's approval" in told["result"]
    with acting.client() as client:
        body = {**asked("list_files", tool_approvals=True), "stream": False}
        answer = client.post("/v1/chat/completions", json=body).json()
    (call,) = answer["choices"][0]["message"]["server_tool_calls"]
    assert "its client cannot be asked" in call["result"]


def test_remembered_in_the_session_and_nowhere_else(
    acting: Live, approve: Callable[..., Any]
) -> None:
    def answer(said: dict[str, Any]) -> None:
        if said["type"] == "approval":
            approve(said["id"], allow=True, remember=True)

    body = asked("list_files", tool_approvals=True, session_id="mine")
    assert notices(acting, body, answer)[0]["type"] == "approval"
    assert [one["type"] for one in notices(acting, body, answer)] == ["started", "finished"]
    other = {**body, "session_id": "other"}
    assert notices(acting, other, answer)[0]["type"] == "approval"


def test_a_client_that_leaves_takes_its_question_along(
    acting: Live, approve: Callable[..., Any]
) -> None:
    body = asked("list_files", tool_approvals=True)
    with acting.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as got:
        for line in got.iter_lines():
            if '"type": "approval"' in line:
                said = json.loads(line[6:])["choices"][0]["delta"]["server_tool"]
                break
    acting.idle()
    assert approve(said["id"], allow=True).status_code == 404


def test_files_of_a_session_are_its_own(acting: Live, tmp_path: Path) -> None:
    notices(acting, asked("list_files", session_id="with files"))
    folder = Toolsets([], folder=acting.log.parent).folder_of("/with files")
    (folder / "below").mkdir(parents=True, exist_ok=True)
    (folder / "below" / "a b.html").write_text("<script>")
    (folder / "link").symlink_to("/etc/passwd")
    whose = {"session_id": "with files"}
    with acting.client() as client:
        listed = client.get("/v1/agent/files", params=whose).json()
        assert listed == {"files": [{"name": "below/a b.html", "bytes": 8}]}
        got = client.get("/v1/agent/files/below/a b.html", params=whose)
        assert (got.text, got.headers["content-type"]) == ("<script>", "application/octet-stream")
        assert got.headers["content-disposition"] == 'attachment; filename="a_b.html"'
        for name in ("link", "none", "..%2f..%2fserver.log", "below"):
            assert client.get(f"/v1/agent/files/{name}", params=whose).status_code == 404
        assert client.get("/v1/agent/files", params={"session_id": "never"}).status_code == 404
        assert client.get("/v1/agent/files").status_code in (400, 422)


def test_what_is_on_is_listed(acting: Live) -> None:
    with acting.client() as client:
        listed = client.get("/v1/agent/tools").json()["tools"]
    modes = {one["name"]: (one["toolset"], one["risk"], one["approval"]) for one in listed}
    assert modes == {
        "list_files": ("files", "read", "ask"),
        "read_file": ("files", "read", "ask"),
        "write_file": ("files", "write", "deny"),
    }


def test_a_server_without_tools_has_none(live: Live) -> None:
    with live.client() as client:
        assert client.get("/v1/agent/tools").json() == {"tools": []}
        assert client.post("/v1/agent/approvals/x", json={"allow": True}).status_code == 404
