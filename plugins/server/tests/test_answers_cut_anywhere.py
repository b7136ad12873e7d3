"""The items and blocks of an answer do not depend on the pieces that its text came in."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tramontane.answers import AnswerParser, Dialect
from tramontane.registry import Registry
from tramontane.tools import Tool
from tramontane_plugin_server.anthropic.content import Blocks
from tramontane_plugin_server.openai.response_output import Output

TEMPLATE = Path(__file__).with_name("thinking.jinja").read_text()
DIALECT = Dialect.of(Registry(), TEMPLATE)
TOOLS = [Tool(name="weather"), Tool(name="stop")]
FRAGMENTS = [
    "<think>", "</think>", "<tool_call>", "</tool_call>", "\n", "  ", "Hello. ", "{", "}", "<", "é",
    '{"name": "weather", "arguments": {"city": "Oslo", "days": [1, 2]}}',
    '{"name": "stop", "arguments": {}}', '{"name": "weather", "arguments": {"city": "O',
    '<tool_call>{"name": "weather", "arguments": {"a": "\\u00e9"}}</tool_call>',
]  # fmt: skip
ANSWERS = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)


def parser() -> AnswerParser:
    return DIALECT.parser(TOOLS, "")


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in itertools.pairwise(places)]


def without_ids(found: list[dict[str, Any]]) -> str:
    return re.sub(r"(msg|rs|fc|call|toolu)_[0-9a-f]+", r"\1", repr(found))


def items(parts: list[str]) -> tuple[list[dict[str, Any]], list[tuple[str, dict[str, Any]]]]:
    output, reading = Output(), parser()
    changes = [change for part in parts for change in output.push(reading.push(part))]
    changes += output.push(reading.finish())
    changes += output.end(complete=True)
    return output.items, changes


def blocks(parts: list[str]) -> tuple[list[dict[str, Any]], list[tuple[str, dict[str, Any]]]]:
    found, reading = Blocks(), parser()
    changes = [change for part in parts for change in found.push(reading.push(part))]
    changes += found.push(reading.finish())
    changes += found.end()
    return found.finished, changes


@settings(max_examples=300, deadline=None)
@given(ANSWERS, st.lists(st.integers(0, 500), max_size=30))
def test_items(text: str, cuts: list[int]) -> None:
    complete, _ = items([text])
    found, changes = items(pieces(text, cuts))
    assert without_ids(found) == without_ids(complete)
    added = [told for kind, told in changes if kind == "response.output_item.added"]
    finished = [told for kind, told in changes if kind == "response.output_item.done"]
    assert [told["item"] for told in finished] == found
    assert [told["item"]["id"] for told in added] == [item["id"] for item in found]
    for index, item in enumerate(found):
        said = item.get("arguments") or "".join(part["text"] for part in item.get("content", ()))
        deltas = [
            told["delta"] for kind, told in changes
            if kind.endswith(".delta") and told["output_index"] == index
        ]  # fmt: skip
        assert "".join(deltas) == said


@settings(max_examples=300, deadline=None)
@given(ANSWERS, st.lists(st.integers(0, 500), max_size=30))
def test_blocks(text: str, cuts: list[int]) -> None:
    complete, _ = blocks([text])
    found, changes = blocks(pieces(text, cuts))
    assert without_ids(found) == without_ids(complete)
    begun = [told["index"] for kind, told in changes if kind == "content_block_start"]
    ended = [told["index"] for kind, told in changes if kind == "content_block_stop"]
    assert begun == ended == list(range(len(found)))
    assert all(isinstance(block["input"], dict) for block in found if block["type"] == "tool_use")


def test_an_answer_that_says_nothing() -> None:
    (item,), _ = items([])
    assert (item["type"], item["content"][0]["text"]) == ("message", "")
    assert blocks([]) == ([], [])
