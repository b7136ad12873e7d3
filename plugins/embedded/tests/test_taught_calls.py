"""The documents in which tools are called: shown as the template shows them, and right."""

from __future__ import annotations

import json
import re
from itertools import islice
from random import Random
from typing import Any

import pytest
from dialogues import calls, json_asked
from dialogues.hermes import Call, Spec, Taken, calling, resulting, schema, with_tools
from dialogues.made_up_tools import made
from dialogues.table import WITH_TOOLS, dialogue
from dialogues.values import HELD_OUT
from dialogues.wishes import known
from export import CHAT_TEMPLATE
from generator import documents, render
from strangers import KINDS as STRANGERS
from strangers import TOOLS
from tokenizer import train_tokenizer
from tramontane.answers import Dialect
from tramontane.chat.template import ChatTemplate
from tramontane.registry import Registry
from tramontane.tools import Tool

WEATHER = Spec(
    "get_weather",
    "The weather in a city.",
    (Taken("city"), Taken("days", "integer", optional=True), Taken("unit", among=("c", "f"))),
)
NOW = Spec("now", "")
ARGUMENTS = {"city": "Łódź", "days": 2}
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
TEMPLATE = ChatTemplate(CHAT_TEMPLATE, named={})


def structured(calls_made: list[Call]) -> dict[str, Any]:
    functions = [
        {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)}
        for call in calls_made
    ]
    calls_ = [{"id": str(i), "type": "function", "function": f} for i, f in enumerate(functions)]
    return {"role": "assistant", "content": None, "tool_calls": calls_}


@pytest.mark.parametrize("system", ["", "Be brief."])
@pytest.mark.parametrize("results", [["rain"], ["rain", "12:05"]])
def test_the_template_writes_what_is_taught(system: str, results: list[str]) -> None:
    made_calls = [Call("get_weather", ARGUMENTS), Call("now", {})][: len(results)]
    asked = {"role": "user", "content": "Weather?"}
    said = {"role": "assistant", "content": "Rain."}
    talk = with_tools(
        [WEATHER, NOW], [asked, calling(made_calls), resulting(results), said], system
    )
    chat = [asked, structured(made_calls), *({"role": "tool", "content": r} for r in results), said]
    if system:
        chat.insert(0, {"role": "system", "content": system})
    taught = "".join(text for text, _ in render(talk))
    shown = TEMPLATE.render(chat, tools=[schema(WEATHER), schema(NOW)], add_generation_prompt=False)
    assert shown == taught
    assert '{"name": "get_weather", "arguments": {"city": "string", "days": integer?, ' in shown


def test_schemas_of_every_kind_are_shown_in_short() -> None:
    properties = {
        "a": {"title": "A", "type": "integer"},
        "b": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "c": {"type": ["string", "null"]},
        "d": {"$ref": "#/$defs/D"},
        "items": {"enum": [1, 2]},
        "e": {"const": "k"},
    }
    function = {"name": "f", "description": "Does it.\n\nAt length.", "parameters": {
        "type": "object", "properties": properties, "required": ["a"]}}  # fmt: skip
    shown = TEMPLATE.render(
        [{"role": "user", "content": "x"}], tools=[{"type": "function", "function": function}]
    )
    assert (
        '{"name": "f", "arguments": {"a": integer, "b": number?, "c": "string"?, "d": any?, '
        '"items": 1|2?, "e": "k"?}} Does it.\n</tools>'
    ) in shown


def test_its_calls_are_those_of_hermes() -> None:
    assert Dialect.of(Registry(), CHAT_TEMPLATE, None).caller.name == "hermes"


@pytest.mark.parametrize("kind", sorted(WITH_TOOLS))
def test_every_call_fits_a_tool_that_is_offered(kind: str) -> None:
    rng = Random(4)
    dialect = Dialect.of(Registry(), CHAT_TEMPLATE, None)
    for _ in range(150):
        talk = WITH_TOOLS[kind][0](rng)
        assert talk[0]["role"] == "system"
        assert [turn["role"] for turn in talk[1:]] == ["user", "assistant"] * (len(talk) // 2)
        lines = talk[0]["content"].partition("<tools>\n")[2].splitlines()[:-1]
        names = [line.split('"')[3] for line in lines]
        tools = [Tool(name=name) for name in names]
        assert len(set(names)) == len(names)
        for turn in talk[2::2]:
            assert not re.search(r"\{\w+\}", turn["content"])
            for call in dialect.parser(tools, "").whole(turn["content"]).calls:
                assert call.name in names


@pytest.mark.parametrize("source", [known, made])
def test_arguments_fit_the_schema_and_come_from_the_question(source: Any) -> None:
    rng = Random(8)
    for _ in range(400):
        wish = source(rng)
        given = wish.call.arguments
        assert list(given) == [taken.name for taken in wish.spec.takes if taken.name in given]
        for taken in wish.spec.takes:
            assert taken.optional or taken.name in given
            value = given.get(taken.name)
            if value is not None:
                assert isinstance(value, TYPES[taken.kind])
                assert not taken.among or value in taken.among
                assert isinstance(value, bool) or str(value) in wish.question


def test_answers_hold_the_result() -> None:
    rng = Random(10)
    for _ in range(300):
        wish = calls.any_wish(rng)
        found = calls.outcome(rng, wish)
        assert found.said in calls.answer(wish, found)


def test_json_is_json() -> None:
    rng = Random(12)
    for _ in range(300):
        question, answer = (turn["content"] for turn in json_asked.json_asked(rng))
        for name, value in json.loads(answer).items():
            assert name in question
            assert isinstance(value, bool) or str(value) in question


def test_some_cities_are_left_to_those_who_test() -> None:
    texts = ("".join(text for text, _ in pieces) for pieces in islice(documents(3), 3000))
    assert not any(city in text for text in texts for city in HELD_OUT)


def test_a_training_ends_with_more_calls_than_refusals_of_a_single_tool() -> None:
    rng = Random(5)
    talks = [dialogue(rng, settling=True) for _ in range(4000)]
    offered = [talk for talk in talks if talk[0]["content"].endswith("</tools>")]
    single = [talk for talk in offered if talk[0]["content"].count('{"name": ') == 1]
    called = sum(talk[2]["content"].startswith("<tool_call>") for talk in single)
    refused = sum("-m ORG/NAME" in talk[2]["content"] for talk in single)
    assert called > 3 * refused > 0


def test_strangers_ask_what_can_be_answered() -> None:
    taught = "\n".join("".join(t for t, _ in p) for p in islice(documents(3), 3000)).lower()
    for said in (said for several in STRANGERS.values() for said in several):
        assert f"{said.question.lower()}<|im_end|>" not in taught
        offered = {name: TOOLS[name] for name in said.tools}
        for name, arguments in said.calls:
            assert list(arguments) == [taken.name for taken in offered[name].takes]
            assert all(str(value) in said.question for value in arguments.values())
        for text in said.says:
            values = json.loads(text).values()
            assert all(str(value).lower() in said.question.lower() for value in values)


def test_a_word_has_the_same_tokens_wherever_it_stands() -> None:
    tokenizer = train_tokenizer(vocab=700, sample=300)

    def tokens(text: str) -> list[str]:
        return [token for token in tokenizer.encode(text).tokens if token != "Ġ"]

    for word in ("Zurbikk", "Lisbon", "4711", "Ottokar"):
        assert "".join(tokens(word)) == word
        assert tokens(f"in {word}?")[-1 - len(tokens(word)) : -1] == tokens(word)
        assert tokens(f'"{word}"')[1:-1] == tokens(word)
