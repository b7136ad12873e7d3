"""What every subcommand must do when it is asked for help, and when it is not understood."""

from __future__ import annotations

import pytest

from tramontane.errors import TramontaneError
from tramontane.plugin import Command, load


def status(offer: Command, *arguments: str) -> int:
    """The exit status of a command; argparse ends with SystemExit, and may."""
    try:
        code = load(offer.run)(list(arguments))
    except SystemExit as exit_:
        code = exit_.code or 0
    assert isinstance(code, int), f"run returned {code!r}; it must return the exit status"
    return code


def test_the_summary_is_one_line(offer: Command) -> None:
    assert offer.summary.strip() == offer.summary != "", "summary= is what `--help` says"
    assert len(offer.summary) <= 100
    assert "\n" not in offer.summary


def test_help_prints_the_summary(offer: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(offer, "--help") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert offer.summary in printed, f"`{offer.name} --help` does not say {offer.summary!r}"


def test_an_unknown_option_is_refused(offer: Command, capsys: pytest.CaptureFixture[str]) -> None:
    unknown = "--no-such-option-anywhere"
    try:
        code = status(offer, unknown)
    except TramontaneError:  # the command line prints it, and ends with 1
        return
    assert code != 0, f"`{offer.name} {unknown}` ends as if all were well"
    assert capsys.readouterr().err, "nothing says what was wrong"
