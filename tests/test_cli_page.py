"""docs/cli.md has every command as it explains itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tramontane.cli.chat import HELP
from tramontane.testing.cli_page import BLOCK, commands, help_of

PAGE = (Path(__file__).parents[1] / "docs/cli.md").read_text()


@pytest.mark.parametrize("name", commands())
def test_the_page_has_what_help_prints(name: str) -> None:
    section = PAGE.partition(f"## tramontane {name}\n")[2].partition("\n## ")[0]
    block = BLOCK.search(section)
    assert block is not None
    assert block[1] == name
    printed = block[0].removeprefix("```\n").removesuffix("```")
    run = "run: python -m tramontane.testing.cli_page docs/cli.md"
    assert unfolded(printed) == unfolded(help_of(name)), run


def unfolded(text: str) -> str:
    """Without what differs from one Python to the next: line breaks, and a value that is named
    behind the short option too."""
    text = re.sub(r"(-\w) (\S+), (--[\w-]+) \2(?!\S)", r"\1, \3 \2", text)
    return " ".join(text.split())


def test_chat_commands_are_on_the_page() -> None:
    assert {name for name in re.findall(r"/[a-z]+", HELP) if name not in PAGE} == set()
