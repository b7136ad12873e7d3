"""The files that a page of the documentation shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
FENCE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def write_page(page: str, folder: Path, renamed: Mapping[str, str] | None = None) -> None:
    """Write a page's files below `folder`, with other words in names and text."""
    for name, text in FENCE.findall((DOCS / f"{page}.md").read_text("utf-8")):
        for before, after in (renamed or {}).items():
            name, text = name.replace(before, after), text.replace(before, after)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
