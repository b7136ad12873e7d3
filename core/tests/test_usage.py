"""What a completion of several choices says it cost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tramontane.engine.request import Usage
from tramontane.results import Completion


def test_counts_of_the_prompt_are_kept_and_those_of_choices_summed() -> None:
    each: Any = [
        SimpleNamespace(usage=Usage(30, count, 16, forced_tokens=forced, image_tokens=12))
        for count, forced in ((5, 2), (7, 0))
    ]
    assert Completion(tuple(each)).usage == Usage(30, 12, 16, 2, 12)
