"""Messages use the field's own terms: what is printed, logged, raised, or shown by --help."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for path in ROOT.glob("*/*/src") if path.is_dir())
SOURCES += [ROOT / "core" / "src"]
FORBIDDEN = re.compile(
    r"\b(mend(s|ed|ing)?|anew|beside|told|(gives?|gave) way|lies?)\b", re.IGNORECASE
)


def messages(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every string that is no docstring, of a module or behind an attribute."""
    tree = ast.parse(source)
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            yield node.lineno, node.value


@pytest.mark.parametrize("source", SOURCES, ids=[path.parent.name for path in SOURCES])
def test_messages_have_no_dialect(source: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text:.80}"
        for path in sorted(source.rglob("*.py"))
        for line, text in messages(path.read_text("utf-8"))
        if FORBIDDEN.search(text)
    ]
    assert found == []


def test_the_walk_sees_messages_and_skips_docstrings() -> None:
    source = (
        '"""told"""\nx = 1\n"""anew"""\ndef f():\n    "lies"\n    raise E(f"mend {x} beside")\n'
    )
    assert [text for _, text in messages(source)] == ["mend ", " beside"]
