"""JSON read as it comes: the same value as Python's, and mended where that has one meaning."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tramontane.answers.json_text import value
from tramontane.answers.scan import Scan

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def read(pieces: list[str]) -> tuple[bool, str, str]:
    """Whether a value is whole, what is passed on, and what is left."""
    scan, parts = Scan(), []
    reading = value(scan, parts.append)
    waiting = iter(pieces)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            left = scan.text[scan.at :] + "".join(waiting)
            return end.value, "".join(parts), left
        piece = next(waiting, None)
        scan.ended = piece is None
        scan.text += piece or ""


@given(JSON, st.sampled_from([None, 1, 4]), st.booleans())
def test_values_are_what_python_reads(data, indent, plain):
    text = json.dumps(data, indent=indent, ensure_ascii=plain)
    whole, passed, left = read([text])
    assert whole
    assert left == ""
    assert json.loads(passed) == data
    assert read(list(text)) == (whole, passed, left)


@given(st.text(alphabet="{}[]:,\"\\'ntu0e-.1 aTF\n"), st.integers(0, 40))
def test_no_text_makes_it_raise_and_cuts_make_no_difference(text, cut):
    whole, passed, _ = read([text])
    if whole:
        assert not isinstance(json.loads(passed), float) or math.isfinite(json.loads(passed))
    assert read([text[:cut], text[cut:]])[:2] == (whole, passed)


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("{'a': True, 'b': None,}", '{"a": true, "b": null}'),
        ('["a\nb\t"]', '["a\\nb\\t"]'),
        (r'"\d \' \u12"', r'"\\d ' + "'" + r' \\u12"'),
        ("'say \"x\"'", '"say \\"x\\""'),
        ("[1,2 ,]", "[1, 2]"),
    ],
)
def test_what_has_one_meaning_is_mended(text, mended):
    assert read([text]) == (True, mended, "")
    json.loads(mended)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nil",
        "01",
        "+1",
        "{a: 1}",
        '{"a" 1}',
        "[1 2]",
        '"a',
        "[" * 70,
        "9" * 2000,
        "NaN",
        "1e999",
        "-1e400",
    ],
)
def test_what_has_none_is_refused(text):
    assert read([text])[0] is False


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ('{"a": [1, 2}', '{"a": [1, 2]}'),
        ('{"a": {"b": 1]}', '{"a": {"b": 1}}'),
        ('{"a": 1</call>', '{"a": 1}'),
        ('[[1, {"a": "}"</call>', '[[1, {"a": "}"}]]'),
    ],
)
def test_what_closes_a_call_closes_the_brackets_in_it(text, closed):
    scan, parts = Scan(), []
    scan.text, scan.ended, scan.closings = text, True, ("</call>",)
    with pytest.raises(StopIteration) as end:
        next(value(scan, parts.append))
    assert (end.value.value, "".join(parts)) == (True, closed)


@pytest.mark.parametrize("text", ['{"a": [1, 2', '{"a": 1', '{"a": 1] "b"}</call>', '{"a"</call>'])
def test_a_value_that_is_cut_or_broken_is_not_closed(text):
    scan = Scan()
    scan.text, scan.ended, scan.closings = text, True, ("</call>",)
    with pytest.raises(StopIteration) as end:
        next(value(scan, [].append))
    assert end.value.value is False
