"""Texts in calls that a grammar makes sure: optional, enumerated, or null."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tramontane.sampling import Candidates, History
from tramontane.tools import Tool

from .grammar_calls import END, OFFERS, dialect, drawn, step_of, token_of

TEXTS = {
    "unit": {"enum": ["90210", "true", '"C"']},
    "zone": {"anyOf": [{"$ref": "#/$defs/Kind"}, {"type": "null"}]},
    "mode": {"type": ["string", "null"], "enum": ["null and void", None]},
    "kind": {"allOf": [{"$ref": "#/$defs/Kind"}]},
    "same": {"const": "1"},
}
TEXTUAL = Tool(name="find", strict=True, parameters={
    "type": "object", "properties": TEXTS, "required": list(TEXTS), "additionalProperties": False,
    "$defs": {"Kind": {"title": "Kind", "type": "string", "enum": ["{}", "[1]"]}},
})  # fmt: skip
RAW = ["qwen3-coder", "glm", "minimax-m2", "deepseek-v3.2", "deepseek-v4", "gemma4"]


@pytest.mark.parametrize("special", [False, True], ids=["as text", "as tokens"])
@pytest.mark.parametrize("name", RAW)
def test_optional_and_enumerated_texts_are_written_as_they_are(name: str, special: bool) -> None:
    grammar = dialect(name).grammar(
        [TEXTUAL], required=True, special=lambda text: token_of(text) if special else None
    )
    wanted = {
        "unit": ["90210", "true", '"C"'],
        "zone": ["{}", "[1]", None],
        "mode": ["null and void", None],
        "kind": ["{}", "[1]"],
        "same": ["1"],
    }
    seen = set()
    for seed in range(12):
        text = drawn(grammar, special, seed)
        for call in dialect(name).parser([TEXTUAL]).whole(text).found:
            assert call.whole, text
            arguments = json.loads(call.arguments)
            assert list(arguments) == list(TEXTS), text
            for key, values in wanted.items():
                assert arguments[key] in values, text
                seen.add((key, arguments[key]))
    assert {
        ("unit", '"C"'),
        ("mode", None),
        ("mode", "null and void"),
        ("zone", None),
        ("kind", "{}"),
    } <= seen


@pytest.mark.parametrize("name", RAW)
def test_what_models_write_for_a_text_that_may_be_null_is_a_sentence(name: str) -> None:
    schema = {"type": "object", "properties": {"city": {"type": ["string", "null"]}},
              "required": ["city"]}  # fmt: skip
    tool = Tool(name="get_weather", strict=True, parameters=schema)
    step = step_of(dialect(name).grammar([tool], required=True), special=False)
    tokens = [*OFFERS[name].example.encode()]
    for place, token in enumerate([*tokens, END]):
        left = step(Candidates.of(np.zeros(END + 1, np.float32)), History([], tokens[:place]))
        assert token in left.ids, bytes(tokens[:place])
