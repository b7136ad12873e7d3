"""Python's literals are read as Python reads them, and passed on as JSON."""

from __future__ import annotations

import ast
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tramontane.answers import Scan
from tramontane.tools import Tool
from tramontane_plugin_tools.python_literals import value

from .syntaxes import calls, read

TOOL = Tool(name="f", parameters={"properties": {"x": {}}})
LITERALS = [
    "(800, 600)", "(5)", "(5,)", "()", "((1, 2), [3,])", "+7", "-7", "{'a'}", "{'a', 'b',}", "{}",
    "0x1F", "-0XfF", "0o17", "0b101", "1_000", "1_0.2_5e1_0", ".5", "5.", "5.e-1", "00", "0.0",
    "1E3", "007.5", "'''a\nb'''", '"""a"b"""', "'a' 'b'", "('a'\n  \"b\" r'\\d')", r"r'\d\''",
    r"R'a\\'", "u'ü'", r"'\x41\x7f'", r"'\101\60\0\08'", r"'\U0001F600'", r"'\u00e9'", "'a\\\nb'",
    r"'\a\b\f\n\r\t\v\\\'\"'", r"'\N{DEGREE SIGN}'", r"'\d \q'", "''", "''''''", "'\"'",
    "{1: 'a', 'b': (2,)}", "[True, False, None]", "'[f(x=1)]'", "'''it's'''",
]  # fmt: skip
JSON_TOO = {"true": True, "[null, false]": [None, False], r'"\/"': "/"}
NONE = ["1e999", "-1e999", "b'x'", "f'{x}'", "1j", "0x", "1__0", "09", "--1", "name", "[1 2]",
        "{1: }", "'a", "'''a'", "{'a' 1}", "(1 2)", "{[1]: 2}", "0x_", "ur'a'"]  # fmt: skip


def read_value(text: str) -> tuple[bool, str]:
    scan, parts = Scan(), []
    scan.text, scan.ended = text, True
    reading = value(scan, parts.append)
    try:
        next(reading)
    except StopIteration as end:
        return end.value and not text[scan.at :].strip(), "".join(parts)
    raise AssertionError("it waits")


def once(text: str) -> Any:
    answer = read("liquid", f"<|tool_call_start|>[f(x={text})]<|tool_call_end|>", [TOOL])
    assert answer.content == ""
    ((name, arguments),) = calls(answer)
    assert name == "f"
    return arguments["x"]


@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("text", LITERALS)
def test_a_literal_is_what_python_reads(text: str) -> None:
    expected = ast.literal_eval(text)
    if isinstance(expected, set):
        assert sorted(once(text)) == sorted(expected)
    else:
        assert once(text) == json.loads(json.dumps(expected))


@pytest.mark.parametrize("text", list(JSON_TOO))
def test_what_only_json_has_is_read_too(text: str) -> None:
    assert once(text) == JSON_TOO[text]


@pytest.mark.parametrize("text", NONE)
def test_what_json_cannot_say_is_refused(text: str) -> None:
    assert read_value(text)[0] is False
    text = f"<|tool_call_start|>[f(x={text})]<|tool_call_end|>"
    answer = read("liquid", text, [TOOL])
    assert (answer.calls, answer.content, len(answer.found)) == ([], "", 1)


PYTHON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(PYTHON)
def test_what_repr_writes_is_read_back(found: Any) -> None:
    whole, text = read_value(repr(found))
    assert whole
    assert json.loads(text) == json.loads(json.dumps(found))


@given(st.text(alphabet="[](){}'\"\\,:rxuN01_.e+-jTrueNon \n", max_size=30))
def test_no_text_makes_it_raise(text: str) -> None:
    whole, passed = read_value(text)
    if whole:
        found = json.loads(passed)
        assert not isinstance(found, float) or math.isfinite(found)
