"""Calls that a grammar makes sure: whatever a model draws under it is read back as whole calls."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tramontane.answers import Dialect
from tramontane.answers.dialect import MARK
from tramontane.errors import RequestError
from tramontane.grammar import Grammar
from tramontane.plugin import Sampler, ToolCaller, load
from tramontane.registry import Registry
from tramontane.sampling import Candidates, History, SamplerContext, Step
from tramontane.sampling_params import SamplingParams
from tramontane.tools import Tool

END = 256
SPECIAL = (
    "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>",
    "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "｜DSML｜", "<|tool_call_end|>",
    "<|tool_call>", "<tool_call|>", '<|"|>',
    "<|channel|>", "<|message|>", "<|constrain|>", "<|start|>", "<|end|>", "<|call|>", "<think>",
    "</think>", "[THINK]", "[/THINK]", "<channel|>",
)  # fmt: skip
WORDS = [*(bytes([value]) for value in range(256)), b"<end>", *(text.encode() for text in SPECIAL)]
TOOLS = (
    Tool(name="get_weather", strict=True, parameters={
        "type": "object",
        "properties": {"city": {"enum": ["Oslo", "Rome"]}, "days": {"$ref": "#/$defs/days"}},
        "required": ["city", "days"],
        "additionalProperties": False,
        "$defs": {"days": {"type": "integer", "minimum": 1, "maximum": 9}},
    }),
    Tool(name="play", strict=True, parameters={
        "type": "object",
        "properties": {
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
            "loud": {"type": "boolean"},
            "key": {"type": "string", "enum": ["C", "a moll"]},
        },
        "additionalProperties": False,
    }),
    Tool(name="stop_all", strict=True, parameters={
        "type": "object", "properties": {}, "additionalProperties": False,
    }),
)  # fmt: skip
OFFERS = {offer.name: offer for offer in Registry().all(ToolCaller) if offer.grammar}
KEPT: dict[str, object] = {}


def context(special: bool) -> SamplerContext:
    """A model of bytes, of which the marks are special tokens or are not there at all."""
    words = WORDS if special else WORDS[: END + 1]
    return SamplerContext(
        vocab_size=len(words),
        seed=1,
        context_length=4096,
        eos_ids=frozenset({END}),
        encode=lambda text: list(text.encode()),
        decode=lambda ids: b"".join(WORDS[i] for i in ids).decode(errors="replace"),
        token_bytes=lambda index: words[index],
        special_ids=frozenset(range(END, len(words))),
        kept=KEPT.setdefault(str(special), {}),  # type: ignore[arg-type]
    )


@cache
def dialect(name: str) -> Dialect:
    offer = OFFERS[name]
    return Dialect(offer, offer if "reasoning" in offer.reads else None)


def drawn(grammar: object, special: bool, seed: int, begin: bytes = b"") -> str:
    """What a model without any sense writes under a grammar, after what it began with."""
    return written(grammar, special, seed, list(begin))


def written(grammar: object, special: bool, seed: int, begin: list[int]) -> str:
    """The same in tokens."""
    step = step_of(grammar, special)
    rng, output = random.Random(seed), [*begin]
    while len(output) < 2000:
        left = step(Candidates.of(np.zeros(len(WORDS) if special else END + 1, np.float32)),
                    History([], list(output)))  # fmt: skip
        ids = left.ids.tolist()
        token = END if END in ids and rng.random() < 0.3 else rng.choice(ids)
        if token == END:
            return b"".join(WORDS[i] for i in output).decode()
        output.append(token)
    pytest.fail(f"no end: {output[-50:]}")


def token_of(text: str) -> int | None:
    """The id of a text that is a special token."""
    return END + 1 + SPECIAL.index(text) if text in SPECIAL else None


def tokens_of(text: str, special: bool) -> list[int]:
    token = token_of(text) if special else None
    return list(text.encode()) if token is None else [token]


def step_of(grammar: object, special: bool) -> Step:
    offer = next(offer for offer in Registry().all(Sampler) if offer.name == "grammar")
    return load(offer.build)({"grammar": grammar}, context(special))  # type: ignore[no-any-return]


def check(text: str, name: str, tools: tuple[Tool, ...], most: int) -> None:
    answer = dialect(name).parser(tools).whole(text)
    assert 1 <= len(answer.found) <= most, text
    assert answer.content == "", text
    for call in answer.found:
        assert call.whole, text
        arguments = json.loads(call.arguments)
        if call.name == "get_weather":
            assert list(arguments) == ["city", "days"]
            assert arguments["city"] in ("Oslo", "Rome")
            assert arguments["days"] in range(1, 10)
        elif call.name == "play":
            assert list(arguments) == [key for key in ("tags", "loud", "key") if key in arguments]
            assert set(arguments.get("tags", ())) <= {"a", "b"}
            assert arguments.get("loud", True) in (True, False)
            assert arguments.get("key", "C") in ("C", "a moll")
        else:
            assert (call.name, arguments) == ("stop_all", {})


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


FORM = Grammar(type="json_schema", value={
    "type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"],
    "additionalProperties": False,
})  # fmt: skip
THINKERS = {o.name: o for o in Registry().all(ToolCaller) if o.reads == ("reasoning",)}


@pytest.mark.parametrize("special", [False, True], ids=["as text", "as tokens"])
@pytest.mark.parametrize("name", list(OFFERS))
def test_beside_a_form_an_answer_is_a_call_or_has_it(name: str, special: bool) -> None:
    grammar = dialect(name).grammar(
        TOOLS, form=FORM, several=False, special=lambda text: token_of(text) if special else None
    )
    left, seed = {True: 3, False: 3}, 0
    while max(left.values()) > 0:
        assert seed < 100, left
        text = drawn(grammar, special, seed := seed + 1)
        answer = dialect(name).parser(TOOLS).whole(text)
        left[bool(answer.calls)] -= 1
        if answer.calls:
            check(text, name, TOOLS, 1)
        else:
            assert json.loads(answer.content)["n"] in (1, 2)


@pytest.mark.parametrize("special", [False, True], ids=["as text", "as tokens"])
@pytest.mark.parametrize("thinker", list(THINKERS))
def test_a_model_may_think_before_a_call_and_a_form(thinker: str, special: bool) -> None:
    found = Dialect(OFFERS["hermes"], THINKERS[thinker])
    opening, closing = found.reasoner.opening, found.reasoner.closing

    def token(text: str) -> int | None:
        return token_of(text) if special else None

    thought = f"{opening}Let me see: {{1}} <tool_call>?{closing}\n\n"
    begun = [
        t
        for mark in MARK.split(thought)
        for t in tokens_of(mark, special and mark != "<tool_call>")
    ]
    for tools, required in (((), False), (TOOLS, False), (TOOLS, True)):
        form = None if required else FORM
        grammar = found.grammar(tools, required=required, special=token, form=form)
        first = tokens_of("<tool_call>", special) if required else [*b"{"]
        for begin in (first, begun + first):
            text = written(grammar, special, 3, begin)
            answer = found.parser(tools).whole(text)
            assert bool(answer.reasoning) == (begin != first), text
            assert answer.calls or json.loads(answer.content)["n"] in (1, 2), text
            assert bool(answer.calls) or not required


@pytest.mark.parametrize(
    ("prompt", "after", "begins"),
    [
        ("Hi<think>\n", "</think>", False),
        ("Hi<think>\n\n</think>\n\n", "", False),
        ("Hi", "", True),
    ],
)
def test_reasoning_that_the_prompt_has_begun_or_ended(
    prompt: str, after: str, begins: bool
) -> None:
    found = Dialect(OFFERS["hermes"], THINKERS["think"])
    for tools, required in (((), False), (TOOLS, False), (TOOLS, True)):
        grammar = found.grammar(tools, required=required, prompt=prompt, form=FORM)
        assert grammar is not None
        assert grammar.after == after
        assert ("before" in str(grammar.value)) == begins


def test_where_the_answer_is_a_message_of_its_own_it_alone_has_the_form() -> None:
    grammar = dialect("harmony").grammar((), form=FORM)
    assert grammar == FORM.model_copy(update={"after": "<|channel|>final<|message|>"})


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
