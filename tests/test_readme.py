"""The README's table of what works is what the distributions offer."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def offered() -> set[tuple[str, str, tuple[str, ...]]]:
    """(kind, distribution, names) of every distribution in the workspace."""
    rows = set()
    for path in ROOT.glob("*/*/pyproject.toml"):
        project = tomllib.loads(path.read_text())["project"]
        for group, names in project.get("entry-points", {}).items():
            if group.startswith("tramontane."):
                kind = group.removeprefix("tramontane.")
                rows.add((kind, project["name"], tuple(sorted(names, key=str.lower))))
    return rows


def lines() -> list[str]:
    """The rows that the table should have."""
    return [
        f"| {kind} | `{dist}` | {', '.join(f'`{name}`' for name in names)} |"
        for kind, dist, names in sorted(offered())
    ]


def is_row(line: str) -> bool:
    """Whether a line of the page is one of these."""
    return "`tramontane-" in line and line.count("|") == 4


def test_table_is_what_is_offered() -> None:
    table = [line for line in README.read_text().splitlines() if is_row(line)]
    assert table == lines(), "run ./dev pages"


def test_folders_are_listed_once() -> None:
    first = [line.split("|")[1] for line in README.read_text().splitlines() if "/` |" in line]
    assert len(first) == len(set(first)), first


def test_readme_names_every_folder() -> None:
    readme = README.read_text()
    for path in ROOT.glob("*/*/pyproject.toml"):
        assert f"`{path.parent.name}`" in readme, path
