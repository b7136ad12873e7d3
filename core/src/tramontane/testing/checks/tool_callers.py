"""What every tool-call syntax must do, with text that models write and text that nobody should."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest

from tramontane.plugin import ToolCaller, load
from tramontane.tools import Tool, ToolCall

WEATHER = Tool(
    name="get_weather",
    description="The weather in a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)
PLAIN = (
    "",
    " \n",
    "The weather is fine.",
    "Sätze mit Ümlauten, 日本語 and \U0001f600.",
    'An object: {"city": "Oslo"}, and a list: [1, 2].',
    "def f(x):\n    return x < 3 and x > 1",
    "x" * 10_000,
)


def mutations(text: str, count: int = 300) -> Iterator[str]:
    """A text cut short at every place, and with pieces dropped, doubled and exchanged."""
    rng = random.Random(0)
    for end in range(len(text)):
        yield text[:end]
    noise = ["{", "}", "[", "]", '"', "\\", "<", ">", "|", "\n", "\0", "null", "1e999", "é", text]
    for _ in range(count):
        changed = text
        for _ in range(rng.randint(1, 4)):
            start = rng.randint(0, len(changed))
            end = min(len(changed), start + rng.randint(0, 8))
            changed = changed[:start] + rng.choice(["", *noise]) + changed[end:]
        yield changed


def test_markers_and_brackets_are_texts(offer: ToolCaller) -> None:
    assert isinstance(offer.markers, tuple), f"markers must be a tuple, not {offer.markers!r}"
    assert all(offer.markers), "an empty marker is in every chat template"
    assert offer.markers, "without markers the syntax is never chosen"


def test_plain_text_calls_nothing(offer: ToolCaller) -> None:
    for text in PLAIN:
        assert load(offer.parse)(text, [WEATHER]) == [], f"in {text[:60]!r}"
        assert load(offer.parse)(text, []) == [], f"in {text[:60]!r}, without tools"


def test_the_example_is_one_call(offer: ToolCaller) -> None:
    if not offer.example:
        pytest.skip("example= is empty: a text that calls get_weather for Oslo would be checked")
    calls = load(offer.parse)(offer.example, [WEATHER])
    assert [call.name for call in calls] == ["get_weather"]
    assert json.loads(calls[0].arguments) == {"city": "Oslo"}


def test_no_text_makes_it_raise(offer: ToolCaller) -> None:
    written = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
    for text in (offer.example, f"{offer.opening}{written}{offer.closing}"):
        for changed in mutations(text):
            calls = load(offer.parse)(changed, [WEATHER])
            for call in calls:
                assert isinstance(call, ToolCall), f"{call!r}, from {changed!r}"
                told = f"arguments {call.arguments!r}, from {changed!r}"
                assert isinstance(json.loads(call.arguments), dict), f"{told}, are not an object"
