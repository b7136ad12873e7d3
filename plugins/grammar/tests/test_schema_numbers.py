"""Bounds of numbers, and words of older drafts and of OpenAPI, against the `jsonschema` package."""

from __future__ import annotations

import itertools
import json
from typing import Any

import jsonschema
import pytest
from tramontane.errors import RequestError
from tramontane.grammar import Grammar
from tramontane_plugin_grammar.grammar_cache import Compiled, compiled_of

from .letters import context

NUMBERS = (
    "0", "-0", "0.5", "0.25", "0.1", "0.75", "1", "1.0", "1.25", "1.5", "1.9", "2", "3", "-1",
    "-0.5", "-0.1", "-1.25", "-1.5", "-2",
)  # fmt: skip
SIDES = (0, 0.1, 0.5, 0.75, 1, 1.25, 1.5, 2)
LOWER, UPPER = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compiled_of(context())


def takes(compiled: Compiled, schema: Any, text: str) -> bool:
    matcher = compiled.entry(Grammar(type="json_schema", value=schema)).matcher
    return bool(matcher.consume_tokens(list(text.encode())) and matcher.is_accepting())


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("apart", [False, True], ids=["in one schema", "in two"])
def test_no_number_outside_of_its_bounds_is_let_through(
    compiled: Compiled, sign: int, apart: bool
) -> None:
    for low, high in itertools.combinations(SIDES, 2):
        ends = (low, high) if sign > 0 else (-high, -low)
        for below, above in itertools.product(LOWER, UPPER):
            bounds = [{below: ends[0]}, {above: ends[1]}]
            schema: dict[str, Any] = {"type": "number"}
            schema |= {"allOf": bounds} if apart else {**bounds[0], **bounds[1]}
            judge = jsonschema.Draft202012Validator(schema)
            for text in NUMBERS:
                if takes(compiled, schema, text):
                    assert judge.is_valid(json.loads(text)), (schema, text)
            inside = str((ends[0] + ends[1]) / 2)
            assert takes(compiled, schema, inside), (schema, inside)


DRAFT_4 = {"$schema": "http://json-schema.org/draft-04/schema#", "id": "http://example.com/x"}
PART = {"a": {"$ref": "#/definitions/part"}}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({**DRAFT_4, "type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 0.5},
         ["0.5", "0.1"], ["0", "0.6"]),
        ({**DRAFT_4, "minimum": 0, "exclusiveMinimum": False, "type": "integer"}, ["0"], ["-1"]),
        ({**DRAFT_4, "properties": PART, "required": ["a"], "additionalProperties": False,
          "type": "object", "definitions": {"part": {"id": "#part", "type": "null"}}},
         ['{"a": null}'], ['{"a": 1}', "{}"]),
        ({"type": "string", "nullable": True}, ["null", '"x"'], ["1"]),
        ({"type": "string", "nullable": False}, ['"x"'], ["null"]),
        ({"type": "string", "nullable": True, "enum": ["a"]}, ['"a"'], ["null", '"b"']),
        ({"type": ["string", "null"], "nullable": True}, ["null", '"x"'], ["1"]),
        ({"nullable": True, "enum": ["a"]}, ['"a"'], ["null"]),
    ],
)  # fmt: skip
def test_words_of_draft_4_and_of_openapi(
    compiled: Compiled, schema: Any, right: list[str], wrong: list[str]
) -> None:
    assert all(takes(compiled, schema, text) for text in right)
    assert not any(takes(compiled, schema, text) for text in wrong)


def test_id_of_another_kind_is_refused_with_its_place(compiled: Compiled) -> None:
    with pytest.raises(RequestError, match=r"schema at #/items/id: should be a text, not 4"):
        takes(compiled, {"items": {"id": 4}}, "[]")
