"""What every tool-call syntax must do, with text that models write and text that nobody should."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence

import pytest

from tramontane.answers import Answer, Dialect
from tramontane.plugin import ToolCaller
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


def read(offer: ToolCaller, pieces: Sequence[str], tools: Sequence[Tool]) -> Answer:
    """What comes of an answer in these pieces."""
    both = "reasoning" in offer.reads
    dialect = Dialect(offer if "calls" in offer.reads else None, offer if both else None)
    parser = dialect.parser(tools)
    found = [delta for piece in pieces for delta in parser.push(piece)]
    return Answer.of([*found, *parser.finish()])


def test_markers_and_brackets_are_texts(offer: ToolCaller) -> None:
    assert isinstance(offer.markers, tuple), f"markers must be a tuple, not {offer.markers!r}"
    assert all(offer.markers), "an empty marker is in every chat template"


def test_it_says_what_it_reads_and_how(offer: ToolCaller) -> None:
    assert set(offer.reads) <= {"calls", "reasoning"}
    assert offer.reads
    if offer.reads == ("reasoning",):
        assert offer.opening, "reasoning without an opening is never found"
        assert offer.closing, "reasoning without a closing never ends"
        return
    assert (offer.parse is None) != (offer.scan is None), "give parse= or scan=, one of them"
    if offer.parse is not None:
        assert offer.opening, "parse= needs opening= and closing=, to know what to wait for"
        assert offer.closing, "parse= needs opening= and closing=, to know what to wait for"


def test_plain_text_calls_nothing(offer: ToolCaller) -> None:
    for text in PLAIN:
        for tools in ([WEATHER], []):
            answer = read(offer, [text], tools)
            assert answer.calls == [], f"in {text[:60]!r}"
            assert answer.content == text, f"{answer.content[:60]!r} is left of {text[:60]!r}"


def test_the_example_is_one_call(offer: ToolCaller) -> None:
    if not offer.example:
        pytest.skip("example= is empty: a text that calls get_weather for Oslo would be checked")
    calls = read(offer, [offer.example], [WEATHER]).calls
    assert [call.name for call in calls] == ["get_weather"]
    assert json.loads(calls[0].arguments) == {"city": "Oslo"}


def test_no_text_makes_it_raise(offer: ToolCaller) -> None:
    for changed in _bad(offer):
        for call in read(offer, [changed], [WEATHER]).calls:
            assert isinstance(call, ToolCall), f"{call!r}, from {changed!r}"
            told = f"arguments {call.arguments!r}, from {changed!r}"
            assert isinstance(json.loads(call.arguments), dict), f"{told}, are not an object"


def test_pieces_make_no_difference(offer: ToolCaller) -> None:
    rng = random.Random(1)
    for changed in _bad(offer):
        whole = read(offer, [changed], [WEATHER])
        assert read(offer, list(changed), [WEATHER]) == whole, f"letter by letter: {changed!r}"
        cut = rng.randint(0, len(changed))
        assert read(offer, [changed[:cut], changed[cut:]], [WEATHER]) == whole, (
            f"cut at {cut}: {changed!r}"
        )


def _bad(offer: ToolCaller) -> Iterator[str]:
    written = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
    for text in (offer.example, f"{offer.opening}{written}{offer.closing}"):
        yield from mutations(text)
