"""What is made of what clients can do; they are fetched, and so are not run here."""

from __future__ import annotations

import json
import re

import pytest

from .__main__ import CLIENTS, HERE, PAGE, TITLE, Outcome, in_words, outcomes_of, table
from .examples import ADDRESS, OURS, ROOT, examples
from .feature import Features, reason


def test_each_client_has_a_script_and_an_environment() -> None:
    assert {path.stem.removeprefix("with_") for path in HERE.glob("with_*.py")} == set(CLIENTS)
    files = {path.stem for path in (HERE / "requirements").glob("*.txt")}
    assert files == set(CLIENTS.values())


@pytest.mark.parametrize("name", sorted(set(CLIENTS.values())))
def test_every_version_is_pinned(name: str) -> None:
    asked, *pins = (HERE / f"requirements/{name}.txt").read_text().splitlines()
    assert asked.startswith("# resolved from: ")
    for line in pins:
        assert re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.!+]+( ;.*)?", line), line


def test_the_page_has_the_table() -> None:
    section = PAGE.read_text().partition(TITLE)[2]
    assert "| client | works | does not work |" in section
    rows = re.findall(r"^\| (\S+) [\d.]+", section, re.MULTILINE)
    assert len(rows) == len(CLIENTS)


def test_features_are_tried_each_by_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    feature = Features("pytest")
    feature("good")(lambda url: None)

    @feature("bad")
    def bad(url: str) -> None:
        raise ExceptionGroup("several", [ValueError(f"no\n{url}")])

    monkeypatch.setattr("sys.argv", ["x", "http://here"])
    feature.main()
    good, other = outcomes_of(["noise", *capsys.readouterr().out.splitlines()])
    assert (good.feature, good.why) == ("good", "")
    assert (other.feature, other.why) == ("bad", "ValueError: no http://here")
    assert other.client == f"pytest {pytest.__version__}"


def test_a_row_for_each_client() -> None:
    error = "KeyError: 'a'"
    told = [Outcome("one 1", "a", ""), Outcome("two 2", "a", error), Outcome("one 1", "b", "")]
    rows = ["| one 1 | a; b |  |", "| two 2 |  | a: the client raises KeyError |"]
    assert table(told)[2:] == rows
    assert "schema" in in_words("ValidationError: 2 validation errors for Place")


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_the_official_clients_are_those_of_the_other_tests(name: str) -> None:
    """So the table has the versions that the top of the page names."""
    (pin,) = re.findall(rf"^{name}==.*$", (HERE.parents[1] / "constraints.txt").read_text(), re.M)
    assert pin in (HERE / "requirements/main.txt").read_text().splitlines()
    assert f"\n| {pin.replace('==', ' ')} |" in PAGE.read_text()


def test_reasons_are_short() -> None:
    assert reason(SystemExit()) == "SystemExit"
    assert len(reason(ValueError("x " * 500))) < 200
    assert json.dumps(reason(ValueError("a\tb"))) == '"ValueError: a b"'


def test_the_page_of_integrations_has_an_example_for_each() -> None:
    found = examples()
    assert found.keys() == {*CLIENTS, *OURS} - {"openai", "anthropic", "llm"}
    for name, code in found.items():
        compile(code, name, "exec")
        assert (ADDRESS in code) == (name not in OURS)
        assert sum(bool(line.strip()) for line in code.splitlines()) <= 16
    assert all((ROOT / folder).is_dir() for _, folder in OURS.values())
