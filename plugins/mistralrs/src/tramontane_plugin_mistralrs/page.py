"""`python -m tramontane_plugin_mistralrs.page docs/mistralrs.md`: write the table there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from .environment import VARIABLES
from .option import Option
from .parse import MISTRALRS, SERVER, Program

TEST = "`test_options.py`"
LINES = "`test_lines.py`"
FILES = ("toml", "multi-model", "from-config")
HEAD = "| theirs | here | test |\n|---|---|---|"


def rows() -> Iterator[str]:
    """A row of a table for each option, command and variable."""
    for program in (SERVER, MISTRALRS):
        yield from _options(program)
    for name, ours in VARIABLES.items():
        yield f"| `{name}` | {ours} | {TEST} |"


def _options(program: Program) -> Iterator[str]:
    for option in program.options:
        yield _row(program.name, option)
    for selector in program.selectors:
        names = ", ".join(f"`{name}`" for name in selector.names)
        test = LINES if selector.name in FILES else TEST
        about = selector.about or "refused: see below"
        yield f"| **{program.name}** {names} | {about} | {test} |"
        for option in selector.options:
            yield _row(f"{program.name} {selector.name}", option, test)


def _row(where: str, option: Option, test: str = TEST) -> str:
    names = ", ".join(option.names)
    value = f" {option.value}" if option.value else ""
    text = f"| {where} `{names}{value}` | {_said(option)} | {test} |"
    return text.replace("|...`", "\\|...`").replace("SOURCE|JSON", "SOURCE\\|JSON")


def _said(option: Option) -> str:
    if not isinstance(option.ours, Mapping):
        return str(option.ours)
    told = [f"`{name}`: {ours}" for name, ours in option.ours.items() if name]
    rest = option.ours.get("")
    return "; ".join([*told, *([f"else {rest}"] if rest is not None else [])])


def written(page: str) -> str:
    """The page, with the table between its marks."""
    table = "\n".join([HEAD, *rows()])
    return re.sub(
        r"(<!-- table -->\n).*?(<!-- /table -->)",
        lambda found: f"{found[1]}{table}\n{found[2]}", page, flags=re.DOTALL,
    )  # fmt: skip


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(written(path.read_text("utf-8")), "utf-8")
