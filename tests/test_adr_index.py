"""docs/adr/README.md lists every decision once, with its title."""

from __future__ import annotations

from collections import Counter

from .adr_index import LINE, PAGE, current, titles


def test_every_decision_is_listed_once_with_its_title() -> None:
    text = PAGE.read_text("utf-8")
    assert current(text) == text, "run: python -m tests.adr_index"
    listed = Counter(name for _, name in LINE.findall(text))
    assert listed == Counter(dict.fromkeys(titles(), 1))


def test_numbers_are_given_once() -> None:
    twice = [n for n, times in Counter(name[:4] for name in titles()).items() if times > 1]
    assert twice == []
