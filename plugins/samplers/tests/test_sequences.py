"""Sequence repetition and what breaks a DRY repetition, by example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tramontane.sampling import Candidates, History, SamplerContext, Step
from tramontane_plugin_samplers.dry import Breaks

Build = Callable[..., Step | None]


def falls(step: Step | None, tokens: Sequence[int]) -> dict[int, float]:
    """By how much the step lowers the logits that it lowers."""
    assert step is not None
    after = step(Candidates.of(np.zeros(128, np.float32)), History(tokens, []))
    return {i: -v for i, v in enumerate(after.logits.tolist()) if v != 0}


@pytest.mark.parametrize(
    ("tokens", "options", "lengths"),
    [
        ([1, 2, 3, 4, 1, 2, 3], {}, {4: 4}),
        ([1, 2, 3, 4, 1, 2, 3], {"min_length": 4}, {}),
        ([1, 8, 3, 4, 1, 2, 3], {}, {}),
        ([1, 8, 3, 4, 1, 2, 3], {"tolerance": 1}, {4: 4}),
        ([1, 7, 8, 3, 4, 1, 2, 3], {"tolerance": 1}, {}),
        ([1, 7, 8, 3, 4, 1, 2, 3], {"tolerance": 1, "max_merge": 2}, {4: 5}),
        ([1, 7, 8, 3, 4, 1, 2, 3], {"tolerance": 1, "max_merge": 3}, {4: 5}),
        ([1, 2, 9, 4, 1, 2, 3], {"tolerance": 3}, {}),
        # the longer of two repetitions with the same follower counts
        ([9, 1, 2, 3, 4, 8, 1, 2, 3, 4, 9, 1, 2, 3], {}, {4: 5}),
        ([5, 5, 5, 5, 5], {}, {5: 5}),
        ([1, 2, 3, 4, 1, 2, 3], {"last_n": 6}, {}),
        ([1, 2, 3], {}, {}),
        ([], {}, {}),
    ],
)
def test_sequence_repetition(
    build: Build, tokens: list[int], options: dict[str, Any], lengths: dict[int, int]
) -> None:
    given = {"flat_penalty": 0.5, "stacking_penalty": 0.25, "min_length": 3, **options}
    expected = {token: 0.5 + 0.25 * length for token, length in lengths.items()}
    assert falls(build("seq_repetition", **given), tokens) == pytest.approx(expected)


def text(said: str) -> list[int]:
    return [ord(character) for character in said]


def test_dry_grows_with_the_length_of_the_repetition(build: Build) -> None:
    step = build("dry", multiplier=0.8, base=1.75)
    # "bcd" has occurred before, with "e" after it: length 3, one above the allowed 2
    assert falls(step, text("abcdexbcd")) == pytest.approx({ord("e"): 0.8 * 1.75})


def test_dry_does_not_look_past_a_breaker(build: Build) -> None:
    assert falls(build("dry"), text("abcdeabc:d")) == {}
    assert falls(build("dry"), text("ab:cdeab:cd")) == pytest.approx({ord("e"): 0.8})


def test_dry_never_penalizes_a_breaker(build: Build) -> None:
    assert falls(build("dry"), text('abcd"xabcd')) == {}


def test_breakers_can_be_given_as_text(build: Build) -> None:
    said = text("abcdexabcd")
    assert falls(build("dry", breakers=r"\x62,\n"), said) == pytest.approx({ord("e"): 0.8})
    assert falls(build("dry", breakers=r"e"), said) == {}
    assert falls(build("dry", breakers=r"\s"), text("abc abc")) == {}


def test_a_breaker_of_several_tokens_ends_where_they_end(
    context: Callable[..., SamplerContext],
) -> None:
    breaks = Breaks(["cd"], context())
    assert breaks(np.array(text("abcdacbd"))).tolist() == [False] * 3 + [True] + [False] * 4
    assert breaks(np.array(text("c"))).tolist() == [False]


def test_dry_takes_a_text_of_one_token_only(build: Build) -> None:
    fall = falls(build("dry"), [65] * 4000)
    assert list(fall) == [65]
    assert 1e9 < fall[65] < 1e14
    assert list(falls(build("dry", base=1.0), [65] * 4000).values()) == pytest.approx([0.8])
