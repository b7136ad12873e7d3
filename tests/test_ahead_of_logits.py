"""What needs no logits: masks beside the forward pass, vocabularies before the first grammar."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane import LLM, SamplingParams
from tramontane_plugin_grammar.grammar_cache import Compiled
from tramontane_plugin_grammar.step import Constrained
from tramontane_plugin_server.model_manager import load
from tramontane_plugin_server.model_settings import ModelSettings

from .tiny import write_model

REGEX = {"type": "regex", "value": "[a-c]{9}"}
PARAMS = SamplingParams(max_tokens=20, temperature=1.0, seed=1, grammar=REGEX)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_model(folder)
    return folder


@pytest.fixture
def llm(folder: Path) -> Iterator[LLM]:
    with LLM(folder, device="reference", kv_tokens=512) as llm:
        yield llm


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_masks_are_made_beside_the_forward_pass(llm: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    prepare = Constrained.prepare

    def noted(self: Constrained, history: Any) -> None:
        made.append(threading.current_thread().name)
        prepare(self, history)

    monkeypatch.setattr(Constrained, "prepare", noted)
    answer = llm.generate("x", PARAMS)
    assert made == ["tramontane-ahead"] * 9  # the tenth token, the end, is forced
    monkeypatch.setattr(Constrained, "prepare", lambda self, history: None)
    assert llm.generate("x", PARAMS).token_ids == answer.token_ids


def test_a_request_without_a_grammar_has_no_such_thread(llm: LLM) -> None:
    before = threads()
    llm.generate("x", SamplingParams(max_tokens=5))
    assert threads() == before
    llm.generate("x", PARAMS)
    assert threads() - before == {"tramontane-ahead"}


def test_a_step_that_fails_waits_for_what_was_begun(
    llm: LLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = llm.inner.loaded.model
    forward = type(model).forward
    tripped: list[int] = []

    def failing(self: Any, tokens: torch.Tensor, batch: Any) -> torch.Tensor:
        if len(batch.spans) > 1 and not tripped:  # what fails together is tried one by one
            tripped.append(1)
            raise RuntimeError("the kernel tripped")
        return forward(self, tokens, batch)

    expected = [llm.generate("x", PARAMS.model_copy(update={"seed": i})).token_ids for i in (1, 2)]
    monkeypatch.setattr(type(model), "forward", failing)
    together = llm.generate("x", PARAMS.model_copy(update={"n": 2}))
    assert [choice.token_ids for choice in together.choices] == expected
    assert tripped


def test_a_server_makes_the_vocabulary_and_a_program_does_not(
    folder: Path, llm: LLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    init = Compiled.__init__

    def noted(self: Compiled, context: Any) -> None:
        made.append(threading.current_thread().name)
        init(self, context)

    monkeypatch.setattr(Compiled, "__init__", noted)
    model = load(ModelSettings(model=str(folder), device="reference", kv_tokens=512))
    model.close()
    assert made == ["tramontane-ready"]
    llm.generate("x", SamplingParams(max_tokens=2))
    assert made == ["tramontane-ready"]
    llm.generate("x", PARAMS)
    assert len(made) == 2
