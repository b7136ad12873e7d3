"""`python -m tests.parity.code_size`: how much code a family is, and how many options a block has.

The page docs/models/code-size.md has the tables; `--write` writes it. Files of a family: all but
`__init__.py`, `plugin.py` among them. Parameters: of a block's constructor, without `self`.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from torch import nn
from tramontane import blocks

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "models" / "code-size.md"
GOAL = 150
"""Lines that a family's file should have at most."""
HEADERS = (
    "| family | files | lines | longest file |\n|---|---|---|---|",
    "| block | parameters | lines |\n|---|---|---|",
)
BEGINNING = f"""# How much code a family is

`python -m tests.parity.code_size --write` writes this page. A family is a distribution,
`arch/NAME`; its files are counted with docstrings and blank lines. The goal is {GOAL} lines a file;
those above it are marked with an asterisk.

"""
MIDDLE = """

What families are declared from, `tramontane.blocks`: parameters of each block's constructor, and
lines of its class.

"""


def families() -> dict[str, dict[str, int]]:
    """Lines of each file, by family."""
    found = {}
    for folder in sorted(path.parent for path in (ROOT / "arch").glob("*/pyproject.toml")):
        files = sorted(folder.glob("src/*/*.py"))
        found[folder.name] = {
            file.name: len(file.read_text("utf-8").splitlines())
            for file in files
            if file.name != "__init__.py"
        }
    return found


def parts() -> dict[str, tuple[int, int]]:
    """Parameters and lines of every block."""
    found = {}
    for name in sorted(blocks.__all__):
        block = getattr(blocks, name)
        if inspect.isclass(block) and issubclass(block, nn.Module):
            lines, _ = inspect.getsourcelines(block)
            found[name] = (len(inspect.signature(block).parameters), len(lines))
    return found


def rows() -> list[str]:
    """Of the table of families."""
    made = []
    for name, files in families().items():
        longest = max(files, key=lambda file: files[file])
        above = " *" if files[longest] > GOAL else ""
        total = sum(files.values())
        made.append(f"| {name} | {len(files)} | {total} | `{longest}` {files[longest]}{above} |")
    return made


def page() -> str:
    counted = [f"| `{name}` | {count} | {lines} |" for name, (count, lines) in parts().items()]
    tables = ("\n".join((HEADERS[0], *rows())), "\n".join((HEADERS[1], *counted)))
    return f"{BEGINNING}{tables[0]}{MIDDLE}{tables[1]}\n"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(), "utf-8")
    else:
        print(page())
