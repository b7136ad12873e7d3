"""What the tests of their command lines share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tramontane.cli.main import main
from tramontane.cli.parser import Parser
from tramontane_plugin_server import serve

SHARED = Path(__file__).parents[3].parent / "shared/reference/commands.md"

TAKEN: set[tuple[str, ...]] = set()
"""Our command lines that were parsed before: many of theirs are the same here."""


class _Parsed(BaseException):
    """Ends a command once it has parsed its arguments."""


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Whether our own command takes the arguments; of a server, whether they are settings too."""
    whole = Parser.parse_known_args

    def parse(self: Parser, *given: Any) -> Any:
        whole(self, *given)
        raise _Parsed

    def parses(arguments: list[str]) -> None:
        named = arguments[: arguments.index("--name")] if "--name" in arguments else arguments
        if tuple(named) in TAKEN:
            return
        TAKEN.add(tuple(named))
        if arguments[0] == "serve":
            serve._settings(arguments[1:], "serve", "")
            return
        with monkeypatch.context() as patch:
            patch.setattr(Parser, "parse_known_args", parse)
            with pytest.raises(_Parsed):
                main(arguments)

    return parses


@pytest.fixture
def shared_commands() -> Path:
    """The reference of all command lines."""
    if not SHARED.exists():
        pytest.skip(f"there is no {SHARED}: the lines are in LINES too")
    return SHARED
