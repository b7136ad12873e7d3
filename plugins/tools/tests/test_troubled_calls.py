"""Every syntax in every trouble: calls that can be read are read, markup is no content, and no text
is lost. Each text is read whole and letter by letter."""

from __future__ import annotations

import re

import pytest
from tramontane.tools import Tool

from .syntaxes import OFFERS, SYNTAXES, calls, read

TOOLS = [
    Tool(name="find", parameters={"type": "object", "properties": {
        "city": {"type": "string"}, "days": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    }}),
    Tool(name="now", parameters={"type": "object", "properties": {}}),
]  # fmt: skip
GIVEN = {"city": "Oslo", "days": 12, "tags": ["a", "b"]}
LOOKS = ["90210", "true", "null", "None", "-1.5e3", '{"a": 1}', "[1, 2]", '"hello"', "", " x ",
         "a\nb", "<b>&amp;</b>", "C:\\new", "it's", "Grüße \U0001f600"]  # fmt: skip
UNMARKED = {"json", "pythonic"}
"""Nothing but brackets tells their calls from text."""

every = pytest.mark.parametrize("name", list(SYNTAXES))
marked = pytest.mark.parametrize("name", [name for name in SYNTAXES if name not in UNMARKED])


def test_every_syntax_is_here() -> None:
    assert SYNTAXES.keys() == OFFERS.keys()


@every
def test_cut_anywhere_it_is_text_or_a_call_and_never_another(name: str) -> None:
    text = "Look: " + SYNTAXES[name].write(("find", GIVEN))
    for end in range(len(text)):
        answer = read(name, text[:end], TOOLS)
        told = answer.content.strip()
        assert told == "Look:" if answer.found else told in ("Look:", text[:end].strip())
        assert calls(answer) in ([], [("find", GIVEN)]), text[:end]


@every
def test_a_closing_is_missing(name: str) -> None:
    syntax = SYNTAXES[name]
    text = syntax.write(("find", GIVEN))
    for closing in syntax.closings:
        for place in re.finditer(re.escape(closing), text):
            if name == "deepseek-v3" and text.startswith("```json", place.start()):
                continue  # that one opens
            for after in ("", "\n" * bool(syntax.after) + syntax.write(("now", {}))):
                begin, end = place.span()
                end += text[begin - 1 : begin] == "\n" == text[end : end + 1]  # all of its line
                less = text[:begin] + text[end:] + after
                answer = read(name, less, TOOLS)
                expected = [("find", GIVEN), ("now", {})][: 1 + bool(after)]
                assert (calls(answer), answer.content) == (expected, ""), less


@pytest.mark.parametrize("given", [{"city": "Oslo"}, GIVEN, {"tags": [], "city": "Oslo"}])
@every
def test_a_bracket_is_missing_too_many_or_another(name: str, given: dict[str, object]) -> None:
    text = SYNTAXES[name].write(("find", given))
    tail = re.search(r"[\]})]*\W*$", text)
    assert tail
    for place in range(tail.start(), len(text)):
        if text[place] not in "]})":
            continue
        for other in ("", text[place] * 2, "]", "}"):
            answer = read(name, text[:place] + other + text[place + 1 :], TOOLS)
            assert answer.content == "", (text, other)
            assert [call.name for call in answer.found] == ["find"]
            assert calls(answer) in ([], [("find", given)])


@every
def test_a_closing_tag_within_a_text(name: str) -> None:
    syntax = SYNTAXES[name]
    for closing in syntax.closings:
        for text in (f"a {closing} b", f"<job>\n  {closing}\n</job>", f"{closing}{closing} c"):
            given = {"city": text, "days": 1}
            answer = read(name, syntax.write(("find", given)), TOOLS)
            assert (calls(answer), answer.content) == ([("find", given)], "")


XML = '<job>\n  <parameter>1</parameter>\n  <parameter name="x">2</parameter>\n</job>'


@pytest.mark.parametrize("after", ["", " \n", "\nDone.", "\nUse </b> there."])
@pytest.mark.parametrize("value", [XML, "<arg_value>1</arg_value>", "ls -l", "a\n\nb"])
@every
def test_text_after_a_call_is_kept(name: str, value: str, after: str) -> None:
    given = {"city": value, "days": 1, "tags": ["x"]}
    answer = read(name, SYNTAXES[name].write(("find", given)) + after, TOOLS)
    assert calls(answer) == [("find", given)]
    assert answer.content == after.strip()


@marked
def test_a_call_after_one_that_is_cut(name: str) -> None:
    syntax = SYNTAXES[name]
    begun = syntax.write(("find", {"city": "Oslo and more"}))
    begun = begun[: begun.index(" and more")]
    answer = read(name, f"{begun}\n{syntax.write(('find', GIVEN))}", TOOLS)
    assert [call.name for call in answer.found] == ["find", "find"]
    assert calls(answer)[-1] == ("find", GIVEN)
    assert answer.content == ""


@pytest.mark.parametrize("length", [*range(230, 275)])
def test_a_name_that_is_too_long_is_so_however_it_comes(length: int) -> None:
    text = SYNTAXES["kimi-k2"].write(("n" * length, {}))
    assert bool(read("kimi-k2", text, TOOLS).found) == (length + len("functions.:0") <= 256)


@every
def test_no_arguments(name: str) -> None:
    syntax = SYNTAXES[name]
    written = syntax.write(("now", {}))
    texts = {written}
    if "{}" in written:
        texts |= {written.replace("{}", other) for other in ("", '""', '" "', "null")}
    if name in ("mistral-v11", "gemma4", "llama3-json") or "arguments" not in written:
        texts = {written}
    for text in texts:
        answer = read(name, text, TOOLS)
        assert (calls(answer), answer.content) == ([("now", {})], ""), text


@pytest.mark.parametrize("looks", LOOKS)
@every
def test_a_text_that_looks_like_something_else(name: str, looks: str) -> None:
    given = {"city": looks, "days": 3}
    answer = read(name, SYNTAXES[name].write(("find", given)), TOOLS)
    assert (calls(answer), answer.content) == ([("find", given)], "")
