"""Arguments written raw are read as what the tool's schema admits, and else as texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tramontane.tools import Tool
from tramontane_plugin_tools.schema_types import (
    TYPES,
    admitted,
    choices,
    known_members,
    member_types,
    unbound,
)

from .syntaxes import SYNTAXES, calls, read

RAW = [name for name, syntax in SYNTAXES.items() if syntax.raw]
TEXT: Any = {"type": "string"}
DEFS: Any = {
    "Unit": {"enum": ["90210", "true"], "title": "Unit"},
    "Text": TEXT,
    "Loop": {"$ref": "#/$defs/Loop"},
    "a/b": TEXT,
}
NUMBER, FLAG, LIST, OBJECT = {"number"}, {"boolean"}, {"array"}, {"object"}
ONLY_TEXT = [
    TEXT,
    {"type": ["string"]},
    {"$ref": "#/$defs/Text"},
    {"$ref": "#/$defs/a~1b"},
    {"allOf": [{"$ref": "#/$defs/Text"}], "description": "by pydantic"},
    {"enum": ["90210", "true", "null", '{"a": 1}', '"hello"', "[1]", "-0.5", "None"]},
    {"type": "string", "format": "date"},
    {"allOf": [{"type": ["string", "integer"]}, {"type": ["string", "boolean"]}]},
    {"anyOf": [{"type": "string", "maxLength": 9}, {"type": "string", "minLength": 1}]},
]
OR_NULL = [
    {"anyOf": [TEXT, {"type": "null"}]},
    {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/Text"}]},
    {"type": ["string", "null"]},
    {"type": "string", "nullable": True},
    {"anyOf": [{"allOf": [{"$ref": "#/$defs/Text"}]}, {"const": None}]},
]
LOOKS = ["90210", "true", "False", '{"a": 1}', '"hello"', "[1]", "-0.5", "nullable", "n", " x"]


def parameters(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"zip": schema}, "$defs": DEFS}


def read_one(name: str, schema: Any, text: str) -> Any:
    tool = Tool(name="find", parameters=parameters(schema))
    ((called, arguments),) = calls(
        read(name, SYNTAXES[name].write(("find", {"zip": text})), [tool])
    )
    assert called == "find"
    return arguments["zip"]


@pytest.mark.parametrize("schema", [*ONLY_TEXT, *OR_NULL], ids=json.dumps)
@pytest.mark.parametrize("name", RAW)
def test_a_text_stays_one_whatever_it_looks_like(name: str, schema: Any) -> None:
    for text in LOOKS:
        assert read_one(name, schema, text) == text
    for text in ("null", "None"):
        assert read_one(name, schema, text) == (text if schema in ONLY_TEXT else None)


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "integer"}, "90210", 90210),
        ({"type": ["integer", "null"]}, "null", None),
        ({"type": "integer"}, "none of it", "none of it"),
        ({"type": "number"}, "true", "true"),
        ({"enum": [1, 2]}, "2", 2),
        ({"const": True}, "True", True),
        ({"anyOf": [TEXT, {"type": "integer"}]}, "90210", 90210),
        ({"anyOf": [TEXT, {"type": "integer"}]}, "true", "true"),
        ({"anyOf": [TEXT, {"type": "array"}]}, '["a"]', ["a"]),
        ({"anyOf": [TEXT, {"type": "array"}]}, '"a"', "a"),
        ({"anyOf": [TEXT, {"type": "object"}]}, "[1]", "[1]"),
        ({}, '{"a": 1}', {"a": 1}),
        (True, "1", 1),
        ({"$ref": "#/$defs/Unit"}, "true", "true"),
        ({"$ref": "#/$defs/Loop"}, "1", 1),
        ({"$ref": "https://example.com/schema"}, "1", 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", RAW)
def test_other_values_are_read_where_their_type_is_admitted(
    name: str, schema: Any, text: str, value: Any
) -> None:
    found = read_one(name, schema, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "whole",
    [
        {"properties": {"zip": TEXT}},
        {"$ref": "#/$defs/Arguments", "$defs": {"Arguments": {"properties": {"zip": TEXT}}}},
        {"allOf": [{"properties": {"zip": TEXT}}]},
        {"anyOf": [{"properties": {"zip": TEXT}}, {"properties": {"zip": {"const": "1"}}}]},
        {"additionalProperties": TEXT},
        {"patternProperties": {"^z": TEXT, "(": {}}},
    ],
    ids=json.dumps,
)
def test_wherever_a_schema_has_the_member(whole: Any) -> None:
    tool = Tool(name="find", parameters=whole)
    answer = read("glm", SYNTAXES["glm"].write(("find", {"zip": "90210"})), [tool])
    assert calls(answer) == [("find", {"zip": "90210"})]


def test_a_long_text_that_may_be_null_is_passed_on_as_it_comes() -> None:
    from tramontane.answers import CallArguments, Dialect

    from .syntaxes import OFFERS

    tool = Tool(name="find", parameters=parameters({"type": ["string", "null"]}))
    parser = Dialect(OFFERS["glm"]).parser([tool])
    parser.push("<tool_call>find<arg_key>zip</arg_key><arg_value>n")
    assert parser.push("ul") == []
    assert parser.push("l and void") == [CallArguments(0, '"'), CallArguments(0, "null and void")]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
COMBINED = st.sampled_from(["anyOf", "oneOf", "allOf"])
SCHEMAS = st.recursive(
    st.sampled_from([{"type": name} for name in (*sorted(TYPES), "integer")])
    | st.lists(VALUES, min_size=1, max_size=3).map(lambda values: {"enum": values})
    | VALUES.map(lambda value: {"const": value})
    | st.sampled_from([{}, True, False, {"$ref": "#/$defs/Unit"}, {"type": ["string", "null"]}]),
    lambda inner: st.tuples(COMBINED, st.lists(inner, min_size=1, max_size=3)).map(
        lambda pair: {pair[0]: pair[1]}
    ),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(schema=SCHEMAS, value=VALUES)
def test_no_type_is_left_out_that_a_validator_admits(schema: Any, value: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    root = {"$defs": DEFS, "allOf": [schema]}
    if jsonschema.Draft202012Validator(root).is_valid(value):
        kind = {type(None): "null", bool: "boolean", int: "number", str: "string", list: "array"}
        assert kind.get(type(value), "object") in admitted(schema, root)
        texts = choices(schema, root)
        assert not isinstance(value, str) or texts is None or value in texts


def test_a_schema_that_is_deep_or_within_itself_takes_no_longer() -> None:
    wide: dict[str, Any] = {"$defs": {}}
    for level in range(60):
        wide["$defs"][str(level)] = {"anyOf": [{"$ref": f"#/$defs/{level + 1}"} for _ in range(9)]}
    wide["$defs"]["60"] = TEXT
    assert admitted({"$ref": "#/$defs/0"}, wide) == {"string"}
    wide["$defs"]["60"] = {"anyOf": [{"$ref": "#/$defs/0"}] * 9}
    assert admitted({"$ref": "#/$defs/0"}, wide) == TYPES
    deep: Any = TEXT
    for _ in range(5000):
        deep = {"allOf": [deep]}
    assert admitted(deep, {}) == TYPES
    assert member_types(deep, "a") == TYPES
    assert (choices(deep, {}), known_members(deep), unbound(deep, {}, None, "#")) == (
        None, frozenset(), (),
    )  # fmt: skip


def test_names_of_members_wherever_they_stand() -> None:
    nested = {"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"properties": {"b": {}}}}}
    assert known_members({"properties": {"a": {}}, **nested}) == {"a", "b"}
    assert known_members(True) == known_members({"properties": []}) == frozenset()
