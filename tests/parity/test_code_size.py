"""The page of code sizes has every family and block; a family's code stays small."""

from __future__ import annotations

import re

from .code_size import HEADERS, PAGE, families, parts

MOST = 220
"""Lines of the longest file; the goal is less, and the page marks what is above it."""


def test_the_page_has_every_family_and_block() -> None:
    """Lines change with every edit; what the page counts is renewed by its command."""
    text = PAGE.read_text("utf-8")
    told = [re.findall(r"^\| `?([\w-]+)`? \|", part, re.M) for part in text.split("\n\n")]
    tables = [names[1:] for names in told if names]
    assert tables == [list(families()), list(parts())], "python -m tests.parity.code_size --write"
    assert all(header in text for header in HEADERS)


def test_files_of_families_are_small() -> None:
    long = {
        f"{family}/{file}": lines
        for family, files in families().items()
        for file, lines in files.items()
        if lines > MOST
    }
    assert long == {}
