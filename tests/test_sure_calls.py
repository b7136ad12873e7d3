"""Calls that a grammar makes sure: whatever a model draws under it is read back as whole calls."""

from __future__ import annotations

import json
import random
from functools import cache

import numpy as np
import pytest
from tramontane.answers import Dialect
from tramontane.errors import RequestError
from tramontane.plugin import ToolCaller, load
from tramontane.registry import Registry
from tramontane.sampling import Candidates, History, SamplerContext
from tramontane.sampling_params import SamplingParams
from tramontane.tools import Tool

END = 256
SPECIAL = (
    "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>",
    "<|channel|>", "<|message|>", "<|constrain|>", "<|start|>", "<|end|>", "<|call|>",
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
    build = load(next(o for o in Registry().all(_sampler()) if o.name == "grammar").build)
    step = build({"grammar": grammar}, context(special))
    rng, output = random.Random(seed), list(begin)
    while len(output) < 2000:
        left = step(Candidates.of(np.zeros(len(WORDS) if special else END + 1, np.float32)),
                    History([], list(output)))  # fmt: skip
        ids = left.ids.tolist()
        token = END if END in ids and rng.random() < 0.3 else rng.choice(ids)
        if token == END:
            return b"".join(WORDS[i] for i in output).decode()
        output.append(token)
    pytest.fail(f"no end: {output[-50:]}")


def _sampler() -> type:
    from tramontane.plugin import Sampler

    return Sampler


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
        else:
            assert (call.name, arguments) == ("stop_all", {})


@pytest.mark.parametrize("special", [False, True], ids=["as text", "as tokens"])
@pytest.mark.parametrize("name", list(OFFERS))
def test_required_calls_cannot_fail(name: str, special: bool) -> None:
    def is_special(text: str) -> int | None:
        return END + 1 + SPECIAL.index(text) if special and text in SPECIAL else None

    for several in (False, True):
        grammar = dialect(name).grammar(TOOLS, required=True, several=several, special=is_special)
        for seed in range(6):
            check(drawn(grammar, special, seed), name, TOOLS, 99 if several else 1)


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


def test_without_strict_tools_nothing_is_to_be_made_sure() -> None:
    assert dialect("hermes").grammar([Tool(name="f")], required=False) is None


def test_what_cannot_be_made_sure_is_refused() -> None:
    registry = Registry()
    with pytest.raises(RequestError, match="glm: there is no grammar"):
        Dialect(registry.get(ToolCaller, "glm")).grammar(TOOLS, required=True)
    with pytest.raises(RequestError, match="no tools"):
        dialect("hermes").grammar([], required=True)
    with pytest.raises(RequestError, match="tool_choice required"):
        dialect("llama3-json").grammar(TOOLS, required=False)


def test_the_parameters_take_such_a_grammar() -> None:
    grammar = dialect("hermes").grammar(TOOLS, required=True)
    assert SamplingParams(grammar=grammar).grammar == grammar
