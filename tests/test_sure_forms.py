"""Calls, reasoning and a form of the answer, together in one grammar."""

from __future__ import annotations

import json

import pytest
from tramontane.answers import Dialect
from tramontane.answers.dialect import MARK
from tramontane.plugin import ToolCaller
from tramontane.registry import Registry

from .grammar_calls import FORM, OFFERS, TOOLS, check, dialect, drawn, token_of, tokens_of, written

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
