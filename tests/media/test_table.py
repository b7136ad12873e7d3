"""The page of `./dev parity media`: every configuration is there, and none is wrong."""

from __future__ import annotations

import re
from pathlib import Path

from .__main__ import HEADER, TOLERANCE
from .latents import ALL
from .sounds import HEARING
from .watching import WATCHING

PAGE = Path(__file__).parents[2] / "docs/models/media-parity.md"


def test_the_page_has_every_configuration_and_all_are_right() -> None:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]
    assert lines[:2] == list(HEADER)
    rows = [line.strip("|").split("|") for line in lines[2:]]
    assert [row[0].strip() for row in rows] == [*ALL, *HEARING, *WATCHING]
    for row in rows:
        assert row[-1].strip() == "equal"
        numbers = [float(number) for number in re.findall(r"\d+e-\d+", "".join(row[1:-1]))]
        assert len(numbers) == 6
        assert max(numbers) < TOLERANCE
