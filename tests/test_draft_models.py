"""A smaller model drafts: its guesses save steps, change no answer, and what it is follows from the
same tokens as the answer's, whatever happens to the sequences."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tramontane import LLM, SamplingParams
from tramontane.checkpoint.load_options import LoadReport
from tramontane.engine.batch import Batch
from tramontane.engine.draft_length import DraftLength
from tramontane.engine.draft_model import ModelGuesser
from tramontane.engine.request import Event, Finished, Request, RequestResult
from tramontane.errors import NotEnoughMemory, TramontaneError

from .drafted import all_answered, asked, same, told
from .test_adapters import adapter, shapes
from .tiny import write_model

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
LENGTHS = (1, 3, 16)
DRAFTS: dict[str, dict[str, Any]] = {
    "small": {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 48},
    "itself": {},
    "padded": {"vocab_size": 320, "num_hidden_layers": 1},
    "windows": {
        "architectures": "MistralForCausalLM", "num_hidden_layers": 1, "sliding_window": 24,
    },
}  # fmt: skip


def write_draft(folder: Path, name: str) -> None:
    told = dict(DRAFTS[name])
    architecture = told.pop("architectures", None)
    write_model(folder, **told)
    if architecture is not None:
        config = json.loads((folder / "config.json").read_text())
        config |= {"architectures": [architecture], "model_type": "mistral", **told}
        (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {"model": tmp_path_factory.mktemp("target")}
    write_model(found["model"])
    for name in DRAFTS:
        found[name] = tmp_path_factory.mktemp(name)
        write_draft(found[name], name)
    return found


ADAPTERS = ("one", "other")
SETTINGS: dict[str, Any] = {"threads": 1, "kv_tokens": 1024, "max_seqs": 4}
"""Little memory, so that sequences give way now and then."""


@pytest.fixture(scope="module")
def plain(folders: dict[str, Path]) -> Iterator[LLM]:
    with LLM(folders["model"], **SETTINGS) as llm:
        for seed, each in enumerate(ADAPTERS):
            folders[each] = adapter(folders["model"].with_name(each), seed, shapes(llm))
            llm.load_adapter(each, folders[each])
        yield llm


def drafted_by(folders: dict[str, Path], name: str, **more: Any) -> LLM:
    return LLM(folders["model"], draft=folders[name], **{**SETTINGS, **more})


@pytest.mark.parametrize("name", DRAFTS)
@pytest.mark.parametrize("length", LENGTHS)
def test_random_requests_are_answered_as_without(
    folders: dict[str, Path], plain: LLM, name: str, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 500 if FULL else 16
    requests = [asked(1000 * length + each, ADAPTERS) for each in range(count)]
    expected = all_answered(plain, requests)
    monkeypatch.setattr(DraftLength, "next", lambda self, worth: length)
    monkeypatch.setattr(DraftLength, "seen", lambda self, *counts: None)
    adapters = {each: folders[each] for each in ADAPTERS}
    with drafted_by(folders, name, adapters=adapters) as llm:
        same(requests, all_answered(llm, requests), expected)
        engine = llm.inner.engine
        assert engine.drain(timeout=60)
        assert engine.stats().kv_blocks_used == 0
        assert engine.stats().drafted_tokens > 0


def test_a_model_drafts_its_own_answers_and_all_of_them_come(
    folders: dict[str, Path], plain: LLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DraftLength, "next", lambda self, worth: 4)
    params = SamplingParams(max_tokens=61, temperature=0, ignore_eos=True)
    prompts = ["A tale", "Another tale of the same length and more", "x"]
    expected = plain.generate(prompts, [params] * 3)
    with drafted_by(folders, "itself") as llm:
        steps = llm.inner.engine.stats().steps
        found = llm.generate(prompts, [params] * 3)
        steps = llm.inner.engine.stats().steps - steps
    for one, other in zip(found, expected, strict=True):
        assert told(one.choices[0]) == told(other.choices[0])
        assert one.usage.accepted_tokens == one.usage.drafted_tokens == 48
    assert steps <= 3 * 13


def test_what_it_knows_of_a_prefix_is_not_computed_again(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    step = ModelGuesser._step

    def counted(self: ModelGuesser, going: Any, tokens: Any, pieces: Any) -> Any:
        rows.append(sum(map(len, tokens)))
        return step(self, going, tokens, pieces)

    monkeypatch.setattr(ModelGuesser, "_step", counted)
    monkeypatch.setattr(DraftLength, "next", lambda self, worth: 1)
    params = SamplingParams(max_tokens=9, temperature=0, ignore_eos=True)
    prompt = [7, 8, 9, 10] * 16
    with drafted_by(folders, "small", batch_size=16) as llm:
        llm.generate(prompt, params)
        first, rows[:] = list(rows), []
        llm.generate([*prompt, 5], params)
    assert max(first) <= 16  # a prompt is caught up with in parts
    assert rows[0] <= 2


def test_its_state_follows_the_answer(
    folders: dict[str, Path], plain: LLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it guesses is what it would answer to the same tokens, through rejections, preemption
    and shared prefixes."""
    guesses: list[tuple[tuple[int, ...], int]] = []
    guess = ModelGuesser.guess

    def noted(self: ModelGuesser, asked: Any) -> Any:
        found = guess(self, asked)
        for (sequence, _), tokens in zip(asked, found, strict=True):
            for place, token in enumerate(tokens or ()):
                guesses.append(((*sequence.tokens, *tokens[:place]), token))
        return found

    monkeypatch.setattr(ModelGuesser, "guess", noted)
    monkeypatch.setattr(DraftLength, "next", lambda self, worth: 3)
    monkeypatch.setattr(DraftLength, "seen", lambda self, *counts: None)
    with drafted_by(folders, "small", kv_tokens=256) as llm:
        all_answered(llm, [asked(seed) for seed in range(12)])
    assert len(guesses) > 100
    with LLM(folders["small"], **{**SETTINGS, "kv_tokens": 4096}) as alone:
        for tokens, token in guesses[::7]:
            logits = alone.logits(list(tokens))[-1]
            assert logits[token] >= np.sort(logits)[-1] - 1e-3


def test_requests_resume_from_what_others_left(folders: dict[str, Path], plain: LLM) -> None:
    texts = []
    with drafted_by(folders, "small") as llm:
        for each in (llm, plain):
            first = ended(each, tuple(b"hello"), keep=True)
            prompt = (*b"hello", *first.token_ids, *b" and then?")
            texts.append((told(first), told(ended(each, prompt, resume=first.snapshot))))
    assert texts[0] == texts[1]


def ended(llm: LLM, prompt: tuple[int, ...], **more: Any) -> RequestResult:
    params = SamplingParams(max_tokens=20, temperature=0, ignore_eos=True)
    events: queue.Queue[Event] = queue.Queue()
    llm.inner.engine.submit(Request(prompt=prompt, params=params, **more), events.put)
    while not isinstance(event := events.get(timeout=60), Finished):
        pass
    assert event.result.error is None
    return event.result


def test_numbers_that_are_none_cost_nobody_an_answer(
    folders: dict[str, Path], plain: LLM, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    params = SamplingParams(max_tokens=20, temperature=0, ignore_eos=True)
    expected = plain.generate("abc", params)
    with drafted_by(folders, "small") as llm:
        guesser = llm.inner.engine.drafting.guesser  # type: ignore[union-attr]
        model = guesser._loaded.model  # type: ignore[attr-defined]
        nothing = np.full((4, 258), np.nan, np.float32)
        monkeypatch.setattr(model, "step", lambda tokens, batch: nothing)
        for _ in range(2):
            assert told(llm.generate("abc", params).choices[0]) == told(expected.choices[0])
    assert [each.message for each in caplog.records if "no numbers" in each.message] != []


def test_a_step_of_it_that_fails_costs_nobody_an_answer(
    folders: dict[str, Path], plain: LLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = SamplingParams(max_tokens=30, temperature=0, ignore_eos=True)
    expected = plain.generate("abc", params)
    with drafted_by(folders, "small") as llm:
        guesser = llm.inner.engine.drafting.guesser  # type: ignore[union-attr]
        model = guesser._loaded.model  # type: ignore[attr-defined]
        step, calls = model.step, []

        def failing(tokens: Any, batch: Batch) -> Any:
            calls.append(len(tokens))
            if len(calls) == 3:
                raise MemoryError("no room")
            return step(tokens, batch)

        monkeypatch.setattr(model, "step", failing)
        for _ in range(2):
            assert told(llm.generate("abc", params).choices[0]) == told(expected.choices[0])
        assert len(calls) > 3


def test_it_is_reported_and_counted_in_the_plan(folders: dict[str, Path], plain: LLM) -> None:
    with drafted_by(folders, "small") as llm:
        draft = llm.report.draft
        assert isinstance(draft, LoadReport)
        assert Path(draft.path).is_relative_to(folders["small"])
        loaded = llm.inner.loaded
        own = loaded.report.kv_bytes_per_token
        assert loaded.bytes_per_token == own + draft.kv_bytes_per_token
    with drafted_by(folders, "small", kv_tokens=None, kv_memory="1MB") as llm:
        blocks = llm.inner.engine.cache.blocks
        assert blocks == 10**6 // (16 * (own + draft.kv_bytes_per_token))


def test_memory_for_both_is_asked_for_before_either_is_read(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tramontane.memory.free", lambda: 1 << 20)
    said = f"for the draft model .*{folders['small'].name}.*a smaller draft model or none"
    with pytest.raises(NotEnoughMemory, match=said):
        drafted_by(folders, "small")


def other_tokens(folder: Path) -> None:
    path = folder / "tokenizer.json"
    told = json.loads(path.read_text())
    vocabulary = told["model"]["vocab"]
    (one, first), (other, second) = list(vocabulary.items())[65:67]
    vocabulary[one], vocabulary[other] = second, first
    path.write_text(json.dumps(told))


def an_encoder(folder: Path) -> None:
    path = folder / "config.json"
    told = json.loads(path.read_text()) | {"architectures": ["BertModel"], "model_type": "bert"}
    path.write_text(json.dumps(told))


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def damaged(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (other_tokens, r"its vocabulary is not that of .*: token 65 is .* the same family"),
        (an_encoder, "BertModel"),
        (no_tokenizer, r"tokenizer.*give a smaller model of the same family"),
        (damaged, "model.safetensors"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_cannot_draft_is_refused(
    folders: dict[str, Path], tmp_path: Path, spoil: Any, said: str
) -> None:
    write_draft(tmp_path, "small")
    spoil(tmp_path)
    with pytest.raises(TramontaneError, match=said) as caught:
        LLM(folders["model"], draft=tmp_path, **SETTINGS)
    assert str(caught.value).startswith(f"draft model {tmp_path}: ")


def test_without_tokenizers_the_sizes_decide(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in ("model", "small", "padded"):
        shutil.copytree(folders[name], tmp_path / name)
        no_tokenizer(tmp_path / name)
    params = SamplingParams(max_tokens=9, temperature=0, ignore_eos=True)
    with LLM(tmp_path / "model", draft=tmp_path / "small", **SETTINGS) as llm:
        assert llm.generate([1, 2, 3], params).usage.drafted_tokens > 0
    with pytest.raises(TramontaneError, match="320 tokens and 258"):
        LLM(tmp_path / "model", draft=tmp_path / "padded", **SETTINGS)


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        ("no/such/model.gguf", "no/such/model.gguf"),
        ("nosuch", "give a model: a folder, a .gguf file or org/name"),
        ("./ngram:max=0", "max=0 must be 1 to 256"),
        ("./ngram:max=many", "max='many' must be a whole number"),
    ],
)
def test_names_that_are_none(folders: dict[str, Path], draft: str, said: str) -> None:
    with pytest.raises(TramontaneError, match=re.escape(said)):
        LLM(folders["model"], draft=draft, token_source="none", **SETTINGS)
