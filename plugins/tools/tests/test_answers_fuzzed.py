"""Texts made of pieces of every syntax: nothing raises, cuts make no difference, text is kept."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tramontane.answers import Answer, Dialect
from tramontane.plugin import ToolCaller
from tramontane.registry import Registry
from tramontane.tools import Tool

OFFERS = Registry().all(ToolCaller)
CALLERS = {offer.name: offer for offer in OFFERS if "calls" in offer.reads}
THINK = next(offer for offer in OFFERS if offer.name == "think")
TOOLS = [
    Tool(
        name="get_weather",
        parameters={"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    )
]
PIECES = re.compile(r"<[^<>]*>|\[/?[A-Z_]+\]|[\w.]+|\s+|.", re.DOTALL)
MARKS = sorted({piece for offer in CALLERS.values() for piece in PIECES.findall(offer.example)})
OTHERS = ["<think>", "</think>", "Hello", " ", "\n", "\\", '"', "'", "{", "}", "[", "]", "<", "ü",
          "\U0001f600", "null", "12", "-", ",", ":", "=", "```json\n", "```", "\x00"]  # fmt: skip
TEXTS = st.lists(st.sampled_from([*MARKS, *OTHERS]), max_size=30).map("".join)
EXAMPLES = st.sampled_from([offer.example for offer in CALLERS.values()])
MIXED = st.lists(TEXTS | EXAMPLES, max_size=4).map("".join)


def read(name: str, pieces: list[str]) -> Answer:
    offer = CALLERS[name]
    both = "reasoning" in offer.reads
    parser = Dialect(offer, offer if both else THINK).parser(TOOLS)
    found = [delta for piece in pieces for delta in parser.push(piece)]
    answer = Answer.of([*found, *parser.finish()])
    assert parser.push("more") == parser.finish() == []
    return answer


@pytest.mark.parametrize("name", list(CALLERS))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=MIXED, cuts=st.lists(st.integers(0, 400), max_size=8))
def test_how_a_text_is_cut_makes_no_difference(name: str, text: str, cuts: list[int]) -> None:
    whole = read(name, [text])
    assert read(name, list(text)) == whole
    places = sorted({min(cut, len(text)) for cut in cuts})
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    assert read(name, pieces) == whole
    for call in whole.found:
        assert not call.whole or isinstance(json.loads(call.arguments), dict)


@pytest.mark.parametrize("name", list(CALLERS))
@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_characters="<[{f◁"), max_size=200))
def test_a_text_without_marks_comes_through_as_it_is(name: str, text: str) -> None:
    assert read(name, list(text)) == Answer(content=text)
