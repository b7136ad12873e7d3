"""Stop strings are found however the text is cut."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tramontane.tokenizer import StopMatcher


def whole(text: str, stops: list[str]) -> tuple[str, str | None]:
    """By the definition: the stop that ends first, the longest of those that end there."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if stop and text[:end].endswith(stop)]
        if found:
            longest = max(found, key=len)
            return text[: end - len(longest)], longest
    return text, None


@given(
    parts=st.lists(st.text("abc", max_size=6), max_size=10),
    stops=st.lists(st.text("abc", max_size=5), max_size=4),
)
@settings(max_examples=1000, deadline=None)
def test_any_cut_gives_the_answer_for_the_whole(parts: list[str], stops: list[str]) -> None:
    matcher = StopMatcher(stops)
    visible = ""
    stopped = None
    for part in parts:
        shown, stopped = matcher.push(part)
        visible += shown
        assert not any(stop and stop in visible for stop in stops)
    visible += matcher.flush()
    assert (visible, stopped) == whole("".join(parts), stops)


@pytest.mark.parametrize(
    ("stops", "pushed", "expected"),
    [
        (["</s>"], ["a<", "/s", ">b"], [("a", None), ("", None), ("", "</s>")]),
        (["</s>"], ["a<", "b"], [("a", None), ("<b", None)]),
        (["abcd", "bc"], ["abcd"], [("a", "bc")]),
        (["bc", "abc"], ["xabc"], [("x", "abc")]),
        ([], ["ab"], [("ab", None)]),
        ([""], ["ab"], [("ab", None)]),
        (["b"], ["ab", "c"], [("a", "b"), ("", "b")]),
        (["\n\n"], ["a\n", "b\n"], [("a", None), ("\nb", None)]),
    ],
)
def test_steps(stops: list[str], pushed: list[str], expected: list[tuple[str, str | None]]) -> None:
    matcher = StopMatcher(stops)
    assert [matcher.push(part) for part in pushed] == expected


def test_flush_gives_what_was_held_once() -> None:
    matcher = StopMatcher(["END"])
    assert matcher.push("theEN") == ("the", None)
    assert matcher.flush() == "EN"
    assert matcher.flush() == ""


def test_near_misses_cost_no_more_than_their_length() -> None:
    matcher = StopMatcher(["a" * 1000 + "b"])
    start = time.process_time()
    for _ in range(100_000):
        matcher.push("a")
    assert time.process_time() - start < 5
