"""Calls that a grammar makes sure: whatever a model draws under it is read back as whole calls."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from tramontane.answers import Dialect
from tramontane.answers.dialect import MARK
from tramontane.errors import RequestError
from tramontane.plugin import ToolCaller
from tramontane.registry import Registry
from tramontane.sampling import Candidates, History
from tramontane.sampling_params import SamplingParams
from tramontane.tools import Tool

from .grammar_calls import (
    END,
    FORM,
    OFFERS,
    TOOLS,
    WORDS,
    check,
    dialect,
    drawn,
    step_of,
    token_of,
    tokens_of,
)


@pytest.mark.parametrize("special", [False, True], ids=["as text", "as tokens"])
@pytest.mark.parametrize("name", list(OFFERS))
def test_required_calls_cannot_fail(name: str, special: bool) -> None:
    for several in (False, True):
        grammar = dialect(name).grammar(
            TOOLS,
            required=True,
            several=several,
            special=lambda text: token_of(text) if special else None,
        )
        for seed in range(9):
            check(drawn(grammar, special, seed), name, TOOLS, 99 if several else 1)


@pytest.mark.parametrize("name", list(OFFERS))
def test_required_calls_keep_to_parameters_that_are_not_strict(name: str) -> None:
    loose = tuple(replace(tool, strict=False) for tool in TOOLS)
    grammar = dialect(name).grammar(loose, required=True, several=False)
    for seed in range(3):
        check(drawn(grammar, False, seed), name, TOOLS, 1)


@pytest.mark.parametrize("name", ["hermes", "glm"])
def test_required_calls_whose_parameters_cannot_be_enforced_say_so(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    unique = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    schema = {"type": "object", "properties": {"n": unique}, "required": ["n"]}
    grammar = dialect(name).grammar([Tool(name="f", parameters=schema)], required=True)
    assert step_of(grammar, special=False)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("tool f")
    assert "uniqueItems" in said
    assert said.endswith("so other arguments are possible")


def test_bound_tools_are_strict_where_that_can_be_done() -> None:
    bound = [replace(TOOLS[0], strict=False, bound=True)]
    grammar = dialect("hermes").grammar(bound)
    text = drawn(grammar, False, 3, b"<tool_call>")
    check(text, "hermes", TOOLS, 99)
    assert dialect("llama3-json").grammar(bound) is None  # calls that begin as texts do
    without = replace(Registry().get(ToolCaller, "gemma4"), grammar=None)
    assert Dialect(without).grammar(bound) is None


@pytest.mark.parametrize(
    "called", ["resolve-library-id", "files.read", "a/b:c", "wetter_für", "3d"]
)
@pytest.mark.parametrize("name", list(OFFERS))
def test_names_that_are_no_identifiers(name: str, called: str) -> None:
    tool = replace(TOOLS[0], name=called)
    grammar = dialect(name).grammar([tool], required=True, several=False)
    answer = dialect(name).parser([tool]).whole(drawn(grammar, False, 1))
    assert [call.name for call in answer.calls] == [called]


@pytest.mark.parametrize("name", list(OFFERS))
def test_a_named_tool_is_the_one(name: str) -> None:
    grammar = dialect(name).grammar(TOOLS[:1], required=True, several=False)
    text = drawn(grammar, False, 5)
    found = dialect(name).parser(TOOLS).whole(text).found
    assert [call.name for call in found] == ["get_weather"]


@pytest.mark.parametrize("name", [n for n, offer in OFFERS.items() if offer.opening])
def test_strict_tools_bind_a_call_that_the_model_begins(name: str) -> None:
    grammar = dialect(name).grammar(TOOLS, required=False)
    assert grammar is not None
    begin = f"Hm. {OFFERS[name].opening}"
    answer = dialect(name).parser(TOOLS).whole(drawn(grammar, False, 3, begin.encode()))
    assert answer.calls
    assert all(call.whole for call in answer.found)


@pytest.mark.parametrize("special", [False, True], ids=["as text", "as tokens"])
@pytest.mark.parametrize("name", list(OFFERS))
def test_what_models_write_is_a_sentence(name: str, special: bool) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = Tool(name="get_weather", strict=True, parameters=schema)
    grammar = dialect(name).grammar(
        [tool], required=True, special=lambda text: token_of(text) if special else None
    )
    written = OFFERS[name].example.removeprefix("<|python_tag|>").removesuffix("<|call|>")
    tokens = [token for mark in MARK.split(written) for token in tokens_of(mark, special)]
    step = step_of(grammar, special)
    for place, token in enumerate([*tokens, END]):
        size = len(WORDS) if special else END + 1
        left = step(Candidates.of(np.zeros(size, np.float32)), History([], tokens[:place]))
        before = b"".join(WORDS[i] for i in tokens[:place])
        assert token in left.ids, f"after {before!r} no {WORDS[token]!r}"


def test_without_strict_tools_nothing_is_to_be_made_sure() -> None:
    assert dialect("hermes").grammar([Tool(name="f")], required=False) is None


def test_what_cannot_be_made_sure_is_refused() -> None:
    registry = Registry()
    without = replace(registry.get(ToolCaller, "gemma4"), grammar=None)
    with pytest.raises(RequestError, match="gemma4: there is no grammar"):
        Dialect(without).grammar(TOOLS, required=True)
    with pytest.raises(RequestError, match=r"gemma4: .*, nor one that combines them"):
        Dialect(without).grammar([Tool(name="f")], form=FORM)
    with pytest.raises(RequestError, match="no tools"):
        dialect("hermes").grammar([], required=True)
    with pytest.raises(RequestError, match="tool_choice required"):
        dialect("llama3-json").grammar(TOOLS, required=False)


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"anyOf": [{}]}, "#/anyOf"),
        ({"properties": {"a": {"type": "string", "pattern": "x"}}}, "#/properties/a/pattern"),
        (
            {
                "properties": {
                    "a": {"anyOf": [{"type": "null"}, {"type": "string", "pattern": "x"}]}
                }
            },
            "#/properties/a/anyOf/1/pattern",
        ),
        (
            {
                "properties": {"a": {"$ref": "#/$defs/t"}},
                "$defs": {"t": {"type": "string", "format": "date"}},
            },
            "#/$defs/t/format",
        ),
    ],
)
def test_a_strict_schema_that_a_syntax_cannot_enforce_is_refused(schema, place) -> None:
    tool = Tool(name="f", strict=True, parameters=schema)
    with pytest.raises(
        RequestError, match=f"tool f: its schema at {re.escape(place)} cannot be enforced"
    ):
        dialect("qwen3-coder").grammar([tool], required=True)
    loose = Tool(name="f", parameters=schema)
    assert dialect("qwen3-coder").grammar([loose], required=True) is not None


def test_a_strict_schema_that_nothing_can_enforce_is_refused_with_its_place() -> None:
    tool = Tool(name="f", strict=True, parameters={"properties": {"a": {"uniqueItems": True}}})
    grammar = dialect("hermes").grammar([tool], required=True)
    with pytest.raises(RequestError, match="tool f: the JSON schema at #/properties/a/uniqueItems"):
        step_of(grammar, special=False)
    grammar = dialect("glm").grammar([tool], required=True)
    with pytest.raises(RequestError, match="tool f, a: the JSON schema at #/uniqueItems"):
        step_of(grammar, special=False)


def test_the_parameters_take_such_a_grammar() -> None:
    grammar = dialect("hermes").grammar(TOOLS, required=True)
    assert SamplingParams(grammar=grammar).grammar == grammar
