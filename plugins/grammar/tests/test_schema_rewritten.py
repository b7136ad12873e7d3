"""Keywords that are said with others: compared with what `jsonschema` makes of random schemas."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import jsonschema
import pytest
from tramontane.errors import RequestError
from tramontane.grammar import Grammar
from tramontane_plugin_grammar.grammar_cache import Compiled, compiled_of
from tramontane_plugin_grammar.schema import schema_source
from tramontane_plugin_grammar.schema_walk import REWRITTEN

from .letters import context
from .test_schema_suite import writable

VALUES: list[Any] = [
    None, True, False, 0, 1, 2.5, "", "a", "b", "ab", "YQ==", [], [1], ["a"], ["a", "b"],
    ["b", "a"], ["a", "a"], ["a", "b", "a"], [1, "a"], {}, {"a": 1}, {"b": "a"}, {"a": 1, "b": "a"},
    {"a": "a", "b": "b"}, {"a": "b"}, {"c": 1}, {"a": 1, "c": 2}, {"ab": 1}, {"a": True},
    {"a": 1, "b": 2, "c": 3}, {"a": {"b": 1}}, {"a": {"a": 1}},
]  # fmt: skip
NAMES = ["a", "b", "c"]
DEFS = {"$defs": {"word": {"enum": ["a", "b"]}}}
ROUNDS = 600


def simple(rng: random.Random) -> Any:
    return rng.choice([
        True, False, {}, {"type": "string"}, {"type": ["object", "null"]}, {"type": "number"},
        {"type": "array"}, {"type": "object"}, {"const": "a"}, {"enum": ["a", "b"]},
        {"enum": [True, None]}, {"const": None}, {"type": "boolean"}, {"required": ["a"]},
        {"required": ["a", "b"]}, {"properties": {"a": {"const": "a"}}}, {"$ref": "#/$defs/word"},
        {"properties": {"a": {"enum": [1, "a"]}}, "required": ["a"]}, {"minLength": 2},
    ])  # fmt: skip


def part(rng: random.Random, depth: int) -> Any:
    """A schema of a few keywords, most of them such as are rewritten."""
    if depth == 0 or rng.random() < 0.2:
        return simple(rng)

    def inner() -> Any:
        return part(rng, depth - 1)

    made: dict[str, Any] = {}
    if rng.random() < 0.5:
        made["type"] = rng.choice(["object", "array", ["object", "string"]])
    if rng.random() < 0.5:
        choices = [{"enum": ["a", "b"]}, {"enum": [1, "a"]}, {"type": "integer"}, {"const": "b"}]
        names = rng.sample(NAMES, rng.choice([1, 2]))
        made["properties"] = {name: rng.choice(choices) for name in names}
    if rng.random() < 0.2:
        made["additionalProperties"] = rng.choice([False, {"type": "integer"}])
    for keyword in rng.sample(sorted(KEYWORDS), rng.choice([1, 1, 2, 3])):
        made |= KEYWORDS[keyword](rng, inner)
    return made


def condition(rng: random.Random, inner: Any) -> dict[str, Any]:
    made = {"if": rng.choice([simple(rng), inner()])}
    if rng.random() < 0.8:
        made["then"] = simple(rng)
    return made | ({"else": simple(rng)} if rng.random() < 0.5 else {})


KEYWORDS: dict[str, Any] = {
    "not": lambda rng, inner: {"not": inner()},
    "if": condition,
    "then": lambda rng, inner: {"then": inner()},
    "dependentRequired": lambda rng, inner: {"dependentRequired": {"a": ["b"]}},
    "dependentSchemas": lambda rng, inner: {"dependentSchemas": {"a": inner()}},
    "contains": lambda rng, inner: {"contains": inner(), "minContains": 0},
    "minContains": lambda rng, inner: {"minContains": 2},
    "uniqueItems": lambda rng, inner: {
        "uniqueItems": rng.choice([True, False]),
        "items": rng.choice([{"enum": ["a", "b"]}, {"enum": ["a", 1, None]}, {"type": "boolean"}]),
    },
    "propertyNames": lambda rng, inner: {
        "propertyNames": rng.choice(
            [{"enum": ["a", "c"]}, {"const": "a"}, {"type": "string"}, {"maxLength": 1}, False,
             {"pattern": "^[ac]"}, {"$ref": "#/$defs/word"}, {"minLength": 2, "maxLength": 2}]
        )
    },
    "unevaluatedProperties": lambda rng, inner: {
        "unevaluatedProperties": rng.choice([False, {"type": "integer"}])
    },
    "unevaluatedItems": lambda rng, inner: {"unevaluatedItems": False, "prefixItems": [{}]},
    "allOf": lambda rng, inner: {"allOf": [inner(), simple(rng)]},
    "anyOf": lambda rng, inner: {"anyOf": [inner(), simple(rng)]},
    "oneOf": lambda rng, inner: {"oneOf": [{"required": ["a"]}, {"required": ["b", "c"]}]},
    "format": lambda rng, inner: {"format": "password"},
}  # fmt: skip


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compiled_of(context())


def test_what_is_enforced_is_what_it_says(compiled: Compiled) -> None:
    rng, met = random.Random(1), Counter[str]()
    for _ in range(ROUNDS):
        made = part(rng, 2)
        whole = {"allOf": [made]} if isinstance(made, bool) else {**made, **DEFS}
        judge = jsonschema.Draft202012Validator(whole)
        valid = [judge.is_valid(value) for value in VALUES]
        try:
            matcher = compiled.entry(Grammar(type="json_schema", value=whole)).matcher
        except RequestError as error:
            said = str(error)
        else:
            said = ""
            met.update(list(whole))
            written = [writable(matcher, value) for value in VALUES]
            wrong = [v for v, w, right in zip(VALUES, written, valid, strict=True) if w != right]
            assert not wrong, json.dumps(whole)
        assert not said or said.startswith("the JSON schema at #")
        assert not any(valid) or "Unsatisfiable" not in said, json.dumps(whole)
    assert min(met[keyword] for keyword in KEYWORDS) > ROUNDS // 200, met


NONSENSE = [None, 5, 2.5, "x", [], [5], [[]], {"a": 5}, {"a": None}, {"enum": 5}, {"type": 5},
            {"type": [5]}, {"type": []}, {"required": 5}, {"required": [[]]}, {"properties": []},
            {"$ref": 5}, {"$ref": "#/nowhere"}, {"$ref": "#"}, {"const": [{}]}, {"not": 5},
            {"not": {"not": {"not": 5}}}, {"enum": [[], {}, 1.5]}, {"minLength": "x"},
            {"pattern": "("}, {"allOf": 5}, {"anyOf": []}]  # fmt: skip


@pytest.mark.parametrize("keyword", sorted(REWRITTEN | {"enum", "oneOf", "required", "type"}))
def test_nonsense_is_refused_with_its_place(keyword: str) -> None:
    for value in NONSENSE:
        for beside in ({}, {"if": True}, {"contains": {}}, {"properties": {"a": {"enum": []}}},
                       {"items": {"enum": [1]}}, {"uniqueItems": True}):  # fmt: skip
            try:
                schema_source({**beside, keyword: value})
            except RequestError as error:
                said = str(error)
            else:
                said = "the JSON schema at #"
            assert said.startswith("the JSON schema at #")
            assert "\n" not in said


def test_what_names_are_replaced_by_is_bounded() -> None:
    names = {"enum": [f"name{i}" for i in range(200)]}
    schema: Any = {"type": "string"}
    for _ in range(5):
        schema = {"propertyNames": names, "additionalProperties": schema}
    with pytest.raises(RequestError, match="200 names are too many"):
        schema_source(schema)
