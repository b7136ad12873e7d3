"""The generator of the embedded model's training data: steady, well formed and right."""

from __future__ import annotations

import re
from itertools import islice
from random import Random

import pytest
from dialogues import commands, grammar, subjects, unknown
from dialogues.named_topics import NAMED
from dialogues.systems import with_system
from dialogues.table import KINDS
from dialogues.topics import TOPICS
from generator import documents, render

ANSWERED = {
    "install a plugin": "pip install tramontane-arch-qwen",
    "list plugins": "tramontane plugins",
    "serve a model": "tramontane serve -m MODEL",
    "run a model": "tramontane run -m MODEL",
    "check my machine": "tramontane doctor",
    "measure the speed": "tramontane bench -m MODEL",
    "measure perplexity": "tramontane perplexity -m MODEL -f FILE",
    "tokenize a text": "tramontane tokenize -m MODEL TEXT",
    "inspect a model": "tramontane inspect MODEL",
    "use it from python": "from tramontane import LLM, SamplingParams",
    "save the chat": "/save FILE",
    "quit": "/exit",
}


def test_the_same_seed_gives_the_same_documents() -> None:
    first = list(islice(documents(7), 200))
    assert first == list(islice(documents(7), 200))
    assert first != list(islice(documents(8), 200))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_roles_alternate_and_nobody_is_silent(kind: str) -> None:
    rng = Random(3)
    for _ in range(200):
        talk = KINDS[kind][0](rng)
        assert [turn["role"] for turn in talk] == ["user", "assistant"] * (len(talk) // 2)
        assert all(turn["content"].strip() for turn in talk)
        assert not any(re.search(r"\{\w+\}", turn["content"]) for turn in talk)


def test_a_system_message_comes_first() -> None:
    talk = with_system(Random(1), commands.command(Random(2)))
    assert [turn["role"] for turn in talk[:3]] == ["system", "user", "assistant"]


def test_only_answers_are_learnt() -> None:
    pieces = render([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello!"}])
    assert [text for text, learnt in pieces if learnt] == ["Hello!<|im_end|>"]
    assert "".join(text for text, _ in pieces).endswith("assistant\nHello!<|im_end|>\n")


@pytest.mark.parametrize("length", ["short", "normal", "long"])
def test_a_story_keeps_to_its_subject(length: str) -> None:
    rng = Random(5)
    for _ in range(300):
        wanted = grammar.Wanted(hero=subjects.hero(rng), name="Zuzu", length=length)
        text = grammar.tell(rng, wanted).text
        assert str(wanted.hero) in text
        assert "Zuzu" in text
        assert "{" not in text


def test_a_theme_is_named() -> None:
    rng = Random(6)
    for _ in range(50):
        assert "courage" in grammar.tell(rng, grammar.Wanted(theme="courage")).text


@pytest.mark.parametrize(("verb", "command"), ANSWERED.items())
def test_answers_hold_the_command(verb: str, command: str) -> None:
    (topic,) = [topic for topic in TOPICS if verb in topic.do]
    rng = Random(9)
    for _ in range(20):
        assert command in commands.general(rng, topic)[-1]["content"]


def test_answers_repeat_the_name_that_was_asked_for() -> None:
    rng = Random(11)
    for _ in range(200):
        question, answer = (turn["content"] for turn in commands.named(rng))
        assert any(word.strip("?") in answer for word in question.split() if len(word) > 2)
    assert all("{x}" in answer for _, answer, _ in NAMED)


def test_the_unknown_is_admitted() -> None:
    rng = Random(13)
    for _ in range(200):
        answer = unknown.unknown(rng)[-1]["content"]
        assert "tiny model" in answer or "too small" in answer
        assert "tramontane run -m ORG/NAME" in answer
