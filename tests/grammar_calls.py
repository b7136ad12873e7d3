"""Calls drawn at random under a grammar, and what they are to be read back as."""

from __future__ import annotations

import json
import random
from functools import cache

import numpy as np
import pytest
from tramontane.answers import Dialect
from tramontane.grammar import Grammar
from tramontane.plugin import Sampler, ToolCaller, load
from tramontane.registry import Registry
from tramontane.sampling import Candidates, History, SamplerContext, Step
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
FORM = Grammar(type="json_schema", value={
    "type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"],
    "additionalProperties": False,
})  # fmt: skip
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
