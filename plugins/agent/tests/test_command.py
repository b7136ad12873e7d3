"""`tramontane sessions`, and `tramontane run` with tools and a session."""

from __future__ import annotations

import io
import json
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from tramontane import LLM
from tramontane.agent.approvals import Decision, Question
from tramontane.agent.session_store import SessionStore
from tramontane.chat.toolbox import Function
from tramontane.cli.acting import _asked
from tramontane.cli.main import main
from tramontane.cli.run import _toolbox
from tramontane.tools import Tool, ToolCall

from .conftest import TEMPLATE

Run = Callable[..., tuple[int, str, str]]
HI = [
    {"role": "user", "content": "hi there"},
    {"role": "assistant", "content": "", "tool_calls": [
        {"id": "a", "function": {"name": "list_files", "arguments": "{}"}}]},
    {"role": "tool", "content": "none"},
    {"role": "assistant", "content": [{"type": "text", "text": "hello"}, {"type": "image"}]},
]  # fmt: skip


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "kept.sqlite"
    kept = SessionStore(path)
    kept.save("tax", HI)
    kept.close()
    return path


def test_sessions_are_listed_shown_copied_and_removed(
    run: Run, store: Path, tmp_path: Path
) -> None:
    here = ("--session-store", store)
    assert "tax             4  " in run("sessions", *here)[1]
    assert json.loads(run("sessions", "list", "--json", *here)[1])[0]["title"] == "hi there"
    shown = run("sessions", "show", "tax", *here)[1]
    assert "user: hi there\nassistant:\n  calls list_files({})\ntool: none\n" in shown
    assert shown.endswith("assistant: hello\n(image)\n")
    file = tmp_path / "tax.json"
    assert run("sessions", "export", "tax", file, *here)[:2] == (0, f"wrote {file}\n")
    assert run("sessions", "export", "tax", *here)[1] == file.read_text()
    assert run("sessions", "fork", "tax", "tax-2", "--keep", "1", *here)[0] == 0
    assert run("sessions", "rm", "tax", *here)[1] == "removed tax\n"
    assert run("sessions", "import", file, *here)[1] == "imported tax\n"
    assert run("sessions", "import", file, "new", *here)[1] == "imported new\n"
    kept = SessionStore(store)
    assert {one.name: one.messages for one in kept.sessions()} == {"tax": 4, "new": 4, "tax-2": 1}
    assert kept.messages("new") == HI
    kept.close()


def test_what_cannot_be_is_one_line(run: Run, store: Path, tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text("{")
    (tmp_path / "there").write_text("")
    for line, told in (
        (("show",), "sessions show takes a name"),
        (("show", "x"), "there is no session 'x'"),
        (("fork", "tax"), "sessions fork takes two names"),
        (("fork", "tax", "a/b"), "no slash"),
        (("list", "--keep", "1"), "--keep N goes with sessions fork"),
        (("import", tmp_path / "none"), "cannot read"),
        (("import", tmp_path / "no.json"), "is not JSON"),
        (("export", "tax", tmp_path / "there"), "is there already"),
    ):
        status, out, err = run("sessions", *line, "--session-store", store)
        assert (status > 0, out, err.count("\n")) == (True, "", 1), err
        assert told in err
    empty = run("sessions", "--session-store", tmp_path / "new.sqlite")[1]
    assert "there are no sessions; tramontane run --session NAME begins one" in empty


def test_a_session_of_the_terminal_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAMONTANE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "t.jinja").write_text(TEMPLATE)
    more = ("--tools", "files", "--session", "talk", "--chat-template", tmp_path / "t.jinja")
    for text in ("hi", "and now?"):
        status, _, err = run("run", "-i", text, "-n", "4", "--device", "reference", "-q", *more)
        assert status == 0, err
    kept = SessionStore()
    users = [one["content"] for one in kept.messages("talk") if one["role"] == "user"]
    assert users == ["hi", "and now?"]
    kept.close()
    for options, told in (
        (("--tools", "fils"), "no installed plugin offers 'fils'"),
        (("--approvals", "maybe", "--tools", "files"), "neither auto, ask or deny"),
        (("--approvals", "deny"), "there are none: --tools or --mcp-config"),
        (("--tool-option", "files.hours=1"), "there is none: --tools NAME"),
        (("--tools", "files", "--no-template"), "--tools needs a chat"),
        (("--session", "a/b"), "no slash"),
        (("--session", "a", "--load-session", "x"), "leave the other"),
    ):
        status, _, err = run("run", "-i", "hi", "--device", "reference", *options)
        assert status > 0
        assert told in err, err


@pytest.mark.parametrize(("approvals", "expected"), [
    ("deny", "the owner does not allow act"), ("auto", True), (None, None),
])  # fmt: skip
def test_approvals_go_for_tools_of_mcp_servers_alone(
    loaded: LLM, monkeypatch: pytest.MonkeyPatch, approvals: str | None, expected: object
) -> None:
    async def act(arguments: object) -> str:
        return "done"

    served = Function(Tool(name="act", parameters={"type": "object"}), act)
    monkeypatch.setattr(loaded, "tools", lambda given: [*given, served])
    options = Namespace(tools=[], approvals=approvals, tool_option=[], session=None)
    with ExitStack() as stack:
        made = _toolbox(options, loaded, stack)
        assert (made is None) == (expected is None)
        if made is not None:
            approve = made().approve
            assert approve is not None
            assert approve(ToolCall("act", "{}")) == expected


def test_a_person_at_the_terminal_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = iter(["what?", "Y", "", "a", "no"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(said))
    question = Question(ToolCall("act", '{"text": "\x1b[2J\n"}'), "execute")
    answers = [_asked(question) for _ in range(4)]
    assert answers == [Decision(True), Decision(False), Decision(True, True), Decision(False)]
    shown = capsys.readouterr().err
    assert '[act({"text": "\\x1b[2J "}): execute]' in shown

    def gone(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", gone)
    assert _asked(question) == Decision(False)
