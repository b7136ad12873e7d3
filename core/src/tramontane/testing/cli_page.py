"""`python -m tramontane.testing.cli_page docs/cli.md`: write what commands print into the page."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from pathlib import Path

from tramontane.cli.main import BUILT_IN, main
from tramontane.registry import Registry

COLUMNS = "100"
BLOCK = re.compile(r"```\nusage: tramontane ([\w-]+).*?```", re.DOTALL)


def commands() -> list[str]:
    """Those that the page describes: built-in ones, and those of installed plugins."""
    return list(dict.fromkeys([*BUILT_IN, *Registry().names("commands")]))


def help_of(name: str) -> str:
    """What a command prints with `--help-all`, 100 columns wide."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main([name, "--help-all"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return printed.getvalue()


def with_help(page: str) -> str:
    """The page, its blocks that begin with "usage: tramontane NAME" as the command prints them."""
    return BLOCK.sub(lambda block: f"```\n{help_of(block[1])}```", page)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_help(path.read_text("utf-8")), "utf-8")
