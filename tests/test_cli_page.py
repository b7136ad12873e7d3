"""docs/cli.md has every command and every option."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tramontane.cli.chat import HELP
from tramontane.cli.main import BUILT_IN, main
from tramontane.registry import Registry

PAGE = (Path(__file__).parents[1] / "docs/cli.md").read_text()


@pytest.mark.parametrize("name", [*BUILT_IN, *Registry().names("commands")])
def test_options_are_on_the_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    section = PAGE.partition(f"## tramontane {name}\n")[2].partition("\n## ")[0]
    options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", capsys.readouterr().out))
    assert {option for option in options if option not in section} == set()


def test_chat_commands_are_on_the_page() -> None:
    assert {name for name in re.findall(r"/[a-z]+", HELP) if name not in PAGE} == set()
