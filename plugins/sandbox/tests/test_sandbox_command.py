"""`tramontane sandbox`, as a user types it."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from tramontane.cli.main import main

from .conftest import sandbox_or_skip


def test_what_holds_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    sandbox_or_skip("auto").close()
    assert main(["sandbox", "--memory", "512", "--seconds", "5"]) == 0
    said = capsys.readouterr().out
    assert "memory      512 MiB\n" in said
    assert "network     none\n" in said
    assert "time        5 s, 600 s of a processor\n" in said


@pytest.mark.parametrize(
    ("arguments", "status", "out", "err"),
    [
        (["--", "sh", "-c", "echo out; echo err >&2; exit 3"], 3, "out\n", "err\n"),
        (["--", "sh", "-c", "kill -9 $$"], 137, "", ""),
        (["--seconds", "0.2", "--", "sleep", "9"], 137, "", "killed: 0.2 seconds were over\n"),
        (["--", "nope"], 127, "", "'nope' cannot be run: no such file or directory\n"),
    ],
)
def test_the_status_is_the_commands(
    arguments: list[str], status: int, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sandbox", "--sandbox", "off", *arguments]) == status
    assert capsys.readouterr() == (out, err)


def test_standard_input_is_given_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for given, out in ((["--stdin"], "typed"), ([], "")):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"typed")))
        assert main(["sandbox", "--sandbox", "off", *given, "--", "cat"]) == 0
        assert capsys.readouterr().out == out
