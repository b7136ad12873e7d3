"""Reasoning in recorded outputs is what one of three other parsers found, or listed."""

from __future__ import annotations

import pytest
from tramontane.answers import Dialect
from tramontane.plugin import ToolCaller
from tramontane.registry import Registry

from .recorded import Recorded, cases, squeezed

# which splitter a family has, which tool caller, and whether its template opens the reasoning
FAMILIES = {
    "deepseek_r1": ("think", "deepseek-v3", True),
    "deepseek_v3": ("think", "deepseek-v3", True),
    "deepseek_v4": ("think", "deepseek-v4", False),
    "gemma4": ("think-gemma4", "gemma4", False),
    "gpt_oss": ("harmony", "harmony", False),
    "granite": ("think-granite", "granite", False),
    "kimi": ("think-kimi", "kimi-k2", False),
    "kimi_k25": ("think", "kimi-k2", True),
    "minimax_append_think": ("think", "minimax-m2", True),
    "mistral": ("think-v11", "mistral", False),
    "nemotron_deci": ("think", "nemotron", False),
    "qwen3": ("think", "qwen3-coder", False),
}
DIFFERENCES = {
    # outside of all messages, but the user's to read
    ("gpt_oss", "batch.1.b"): "text",
    # a message to a tool is a call on whichever channel
    ("gpt_oss", "batch.3.e"): "call",
    # every block of reasoning is reasoning, and what comes before one is content
    ("granite", "batch.2.d"): "block",
    ("granite", "batch.6.a"): "block",
    # a call ends a reasoning that was never closed, but without tools nothing is a call
    ("kimi_k25", "batch.3.b"): "call",
    # the template opens the reasoning, which the three leave in the text
    **{
        ("minimax_append_think", f"batch.{case}"): "opened"
        for case in ("1.a", "1.b", "2.a", "2.c", "2.d", "2.e", "2.f", "3.a", "4", "5", "6.a", "6.b")
    },
}


def read(family: str, case: Recorded) -> tuple[str, str]:
    name, caller, opened = FAMILIES[family]
    registry = Registry()
    reasoner = registry.get(ToolCaller, name)
    both = "calls" in reasoner.reads
    dialect = Dialect(reasoner if both else registry.get(ToolCaller, caller), reasoner)
    parser = dialect.parser((), reasoner.opening if opened else "")
    answer = parser.whole("".join(case.pieces))
    return squeezed(answer.reasoning), squeezed(answer.content)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_case_agrees_or_is_listed(family: str) -> None:
    differing = {
        (family, case.name)
        for case in cases("reasoning", family)
        if case.theirs and read(family, case) not in case.theirs
    }
    assert differing == {pair for pair in DIFFERENCES if pair[0] == family}
