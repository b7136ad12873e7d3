"""A GPT-OSS that thinks, calls and answers on Harmony's channels, through the engine."""

from __future__ import annotations

import pytest
from tramontane import LLM, SamplingParams
from tramontane.answers import Answer, Content, Reasoning

from .calling import ARGUMENTS, QUESTION
from .harmony import ANSWER, QUICK, SPECIALS, THOUGHTS, write_harmony_model

GREEDY = SamplingParams(temperature=0, max_tokens=150)


@pytest.fixture(scope="module")
def llm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("harmony")
    write_harmony_model(folder)
    with LLM(folder, device="reference") as llm:
        yield llm


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_it_calls_and_answers(llm):
    answer = llm.chat(QUESTION, GREEDY, tools=[add])
    assert (answer.content, answer.reasoning) == (ANSWER, THOUGHTS[1])
    assert answer.finish_reason == "stop"
    called, told = answer.added
    assert called["tool_calls"][0]["function"] == {"name": "add", "arguments": ARGUMENTS}
    assert (told["role"], told["content"]) == ("tool", "5")


def test_a_stream_has_thoughts_and_call_apart(llm):
    chunks = list(llm.chat(QUESTION, GREEDY, tools=[add], stream=True))
    deltas = [delta for chunk in chunks for delta in chunk.deltas]
    texts = [delta.text for delta in deltas if isinstance(delta, Content | Reasoning)]
    assert len(texts) > 3, "it arrives as it is made"
    assert not any(mark in "".join(texts) for mark in SPECIALS)
    answer = Answer.of(deltas)
    assert (answer.reasoning, answer.content) == (THOUGHTS[0], "")
    assert [(call.name, call.arguments) for call in answer.calls] == [("add", ARGUMENTS)]


def test_reasoning_effort_reaches_the_template(llm):
    answer = llm.chat(QUESTION, GREEDY, template_variables={"reasoning_effort": "low"})
    assert (answer.content, answer.reasoning) == (QUICK, "")
    assert answer.finish_reason == "stop"
