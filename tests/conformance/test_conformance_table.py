"""What is made of the suite's results; the suite itself is fetched, and so is not run here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .__main__ import rest, table
from .scenarios import NOT_OURS, reason
from .suite import CannotRun, Outcome, Suite, outcome


def write(folder: Path, *statuses: str) -> None:
    (folder / "ping-1").mkdir(parents=True)
    checks = [
        {"id": f"check-{i}", "description": "What it is.", "status": status,
         **({"errorMessage": "it\nbroke"} if status == "FAILURE" else {})}
        for i, status in enumerate(statuses)
    ]  # fmt: skip
    (folder / "ping-1" / "checks.json").write_text(json.dumps(checks))


def test_checks_are_counted_and_failures_told(tmp_path: Path) -> None:
    write(tmp_path, "SUCCESS", "INFO", "FAILURE", "SUCCESS", "WARNING")
    found = outcome("server", "ping", tmp_path)
    assert found == Outcome("server", "ping", 2, ("check-2: it broke",))
    lines = table([found])
    assert lines[2:] == ["| server | ping | 2 | 1 |", "", "ping: check-2: it broke"]


def test_a_suite_that_says_nothing_has_failed(tmp_path: Path) -> None:
    assert outcome("client", "initialize", tmp_path).failed == ("the suite wrote no checks",)


def test_what_does_not_apply_has_a_reason_and_the_rest_has_none() -> None:
    assert reason("client", "auth/scope-step-up")
    assert not reason("client", "sse-retry")
    assert not reason("server", "tools-list")
    lines = rest([("server", "prompts-get-simple"), ("server", "prompts-get-with-args")])
    assert lines[2] == (
        "| server | 2: prompts-get-simple, prompts-get-with-args | "
        f"{NOT_OURS['server']['prompts-get']} |"
    )


def test_without_node_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotRun, match=r"install Node\.js 22 or newer with npm"):
        Suite(tmp_path)


def test_a_client_that_cannot_reach_the_server_fails() -> None:
    command = [sys.executable, "-m", "tests.conformance.client", "http://127.0.0.1:9/mcp"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "suite: down" in done.stdout
