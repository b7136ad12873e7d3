"""Patterns of names as peft matches them, in bounded time."""

from __future__ import annotations

import random
import re

import pytest
from tramontane_plugin_lora.patterns import LONGEST, Pattern

NAMES = (
    "model.layers.0.self_attn.q_proj", "model.layers.10.self_attn.q_proj", "q_proj", "qqproj",
    "model.layers.11.mlp.experts.3.down_proj", "lm_head", "model.embed_tokens", "a", "", "aab.aa",
    "model.layers.0.mlp.gate_up_proj", "transformer.h.7.attn.c_attn", "x.q_proj.y",
)  # fmt: skip
USUAL = (
    "q_proj", "model.layers.0.self_attn.q_proj", "layers.0.self_attn.q_proj", r".*\.q_proj",
    r"layers\.(1[0-9]|[2-9]\d)\.self_attn\..*", r"^model\.layers\.0\..*", "q.proj",
    r"(q|k|v)_proj", r"(?:q|k|v|o)_proj$", ".*", ".*proj", r"model.layers.[0-9]+.mlp.*",
    r"(?P<n>down|up)_proj", r"[^.]*_proj", r"\w+_proj", r"\w{1,6}", "a{2}b?.a{1,}", "a+?b.a*?",
    "self_attn", "proj", r"h\.\d{1,2}\.attn\.c_attn", "", "(a|aa)+", r"[]a.]+", "x{,2}a*b.aa",
)  # fmt: skip


def as_peft(pattern: str, name: str) -> bool:
    return re.match(rf"(.*\.)?({pattern})$", name) is not None


@pytest.mark.parametrize("pattern", USUAL)
def test_usual_patterns_match_as_in_peft(pattern: str) -> None:
    found = Pattern(pattern)
    for name in NAMES:
        assert found.matches(name) == as_peft(pattern, name), name


def test_random_patterns_match_as_in_peft() -> None:
    numbers = random.Random(0)
    pieces = ["a", "b", ".", r"\.", "[ab]", "[^a]", r"\w", "^", "$", "(a|b)", "(?:ab|)", "(b?)"]
    counts = ["", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "*?"]
    for _ in range(3000):
        pattern = "".join(
            piece if piece in "^$" else piece + numbers.choice(counts)
            for piece in numbers.choices(pieces, k=numbers.randint(1, 5))
        )
        if numbers.random() < 0.3:
            pattern = f"({pattern}|{numbers.choice(pieces)})" + numbers.choice(["", "?", "+"])
        name = "".join(numbers.choices("aab..", k=numbers.randint(0, 7)))
        assert Pattern(pattern).matches(name) == as_peft(pattern, name), (pattern, name)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$b", "(a|aa)+b", "(.*.*.*)*b", "a?" * 100 + "a" * 100, "(.|.)" * 90 + "b",
                "((a{0,900}){900}){900}b"],
)  # fmt: skip
def test_patterns_that_go_back_and_forth_elsewhere(pattern: str) -> None:
    left = [400_000]
    Pattern(pattern, left).matches("a" * 60)
    assert left[0] > 0, "steps are bounded, and few"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("x" * (LONGEST + 1), "has 513 characters, and 512 are the most"),
        ("(?=a)b", "not supported"), (r"(a)\1", "not supported"), (r"\bq", "not supported"),
        ("(?i)q", "not supported"), ("a*+b", "not supported"), ("(?P<n>a)(?P=n)", "not supported"),
        ("(" * 50 + "a" + ")" * 50, "more than 40 groups"), ("a{2000}", "more than 1000 times"),
        ("((((a*)*)*)*)*", "more than 3 repeated parts"),
    ],
)  # fmt: skip
def test_what_has_no_bound_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Pattern(pattern)


def test_all_patterns_of_an_adapter_share_their_steps() -> None:
    left = [100]
    with pytest.raises(ValueError, match="takes too long: write names instead"):
        Pattern(".*q", left).matches("a" * 200)
