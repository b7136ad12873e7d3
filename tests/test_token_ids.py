"""Prompts of token ids: their logits, batches of them, and models without a tokenizer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tramontane import LLM, AsyncLLM, SamplingParams
from tramontane.errors import NotEnoughMemory, RequestError
from tramontane.testing.forward_passes import whole

from .tiny import write_model

CPU = {"device": "cpu", "dtype": "f32", "kv_type": "f32", "activations": "f32"}
IDS = [(7 * i + 3) % 250 for i in range(90)]
GREEDY = SamplingParams(max_tokens=5, temperature=0, ignore_eos=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ids") / "model"
    write_model(path)
    return path


@pytest.fixture(scope="module")
def bare(folder: Path) -> Path:
    """The same model without its tokenizer."""
    path = folder.parent / "bare"
    path.mkdir()
    for name in ("config.json", "model.safetensors", "generation_config.json"):
        (path / name).write_bytes((folder / name).read_bytes())
    return path


@pytest.fixture(scope="module")
def llm(folder: Path) -> Iterator[LLM]:
    with LLM(folder, **CPU) as model:
        yield model


@pytest.fixture(scope="module")
def without(bare: Path) -> Iterator[LLM]:
    with LLM(bare, **CPU) as model:
        yield model


def test_logits_are_those_of_transformers(llm: LLM, folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = theirs(torch.tensor([IDS])).logits[0].numpy()
    got = llm.logits(IDS)
    assert got.shape == (90, 258)
    assert got.dtype == np.float32
    assert abs(got - expected).max() < 1e-4 * abs(expected).max()


def test_logits_have_the_bits_that_generation_draws_from(llm: LLM) -> None:
    answer = llm.generate(IDS, GREEDY.model_copy(update={"logprobs": True}))
    rows = llm.logits([*IDS, *answer.token_ids])
    assert np.array_equal(llm.logits(IDS), rows[:90])
    assert rows[89:94].argmax(1).tolist() == list(answer.token_ids)
    for entry, row in zip(answer.logprobs or (), rows[89:], strict=False):
        wide = row.astype(np.float64)
        expected = wide[entry.token] - wide.max() - np.log(np.exp(wide - wide.max()).sum())
        assert entry.logprob == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(rows[:90], whole(llm.inner.loaded.model, IDS).numpy())


def test_logits_are_the_callers_own_and_other_requests_change_nothing(llm: LLM) -> None:
    first = llm.logits(IDS)
    copy = first.copy()
    llm.generate([IDS[:40], IDS[5:60]], GREEDY)
    assert np.array_equal(first, copy)

    async def beside() -> list[Any]:
        async with AsyncLLM(llm.inner.header.path, **CPU, batch_size=16) as other:
            return await asyncio.gather(other.logits(IDS), other.generate(IDS, GREEDY))

    rows, answer = asyncio.run(beside())
    assert np.array_equal(rows, first)
    assert answer.token_ids == llm.generate(IDS, GREEDY).token_ids


def test_logits_of_a_full_context(llm: LLM) -> None:
    assert llm.logits([1] * llm.context_length).shape == (llm.context_length, 258)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("text", "logits takes token ids; tokenize"),
        ([], "the prompt is empty"),
        ([1, 258], "token 258 is outside the vocabulary of 258"),
        ([1] * 257, "the prompt has 257 tokens and the context 256"),
        ([1.5], "a string or a list of token ids, not [1.5]"),
        ([[1, 2]], "a string or a list of token ids, not [[1, 2]]"),
    ],
)
def test_what_has_no_logits(llm: LLM, ids: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        llm.logits(ids)
    assert message in str(caught.value)


def test_logits_that_do_not_fit_are_refused(llm: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tramontane.memory.free", lambda: 1000)
    with pytest.raises(NotEnoughMemory, match="take 2064 bytes"):
        llm.logits([1, 2])


BATCH = [[5, 6, 7], [9], IDS]


def test_a_batch_of_ids_is_each_prompt_by_itself(llm: LLM) -> None:
    alone = [llm.generate(ids, GREEDY).token_ids for ids in BATCH]
    assert [each.token_ids for each in llm.generate(BATCH, GREEDY)] == alone
    chunks = list(llm.generate(BATCH, GREEDY, stream=True))
    for index, expected in enumerate(alone):
        mine = [chunk for chunk in chunks if chunk.index == index]
        assert tuple(chunk.token for chunk in mine if chunk.token is not None) == expected
        assert mine[-1].result is not None
    for kind in (np.array, torch.tensor):
        arrays: Any = [kind(ids) for ids in BATCH]
        assert [each.token_ids for each in llm.generate(arrays, GREEDY)] == alone
        assert llm.generate(arrays[0], GREEDY).token_ids == alone[0]


def test_parameters_for_each_prompt(llm: LLM) -> None:
    params = [
        GREEDY,
        GREEDY.model_copy(update={"max_tokens": 2}),
        SamplingParams(n=2, max_tokens=1),
    ]
    found = llm.generate(BATCH, params)
    assert [each.usage.completion_tokens for each in found] == [5, 2, 2]
    assert [len(each.choices) for each in found] == [1, 1, 2]
    assert [each.text for each in llm.generate(["a", "b"], [GREEDY, GREEDY])] == [
        llm.generate(text, GREEDY).text for text in "ab"
    ]


def test_batches_in_asyncio(llm: LLM) -> None:
    async def ask() -> tuple[list[Any], set[int]]:
        async with AsyncLLM(llm.inner.header.path, **CPU) as other:
            found = await other.generate(BATCH, [GREEDY] * 3)
            places = {chunk.index async for chunk in other.generate(BATCH, GREEDY, stream=True)}
            return [each.token_ids for each in found], places

    assert asyncio.run(ask()) == (
        [each.token_ids for each in llm.generate(BATCH, GREEDY)],
        {0, 1, 2},
    )


@pytest.mark.parametrize(
    ("prompt", "params", "message"),
    [
        ([[1], [2]], [GREEDY], "1 SamplingParams for 2 prompts"),
        ([1, 2], [GREEDY, GREEDY], "2 SamplingParams for one prompt"),
        ([[1], 2], None, "prompt 1 of the batch is 2"),
        ([[1], []], None, "the prompt is empty"),
        ([[1], [None]], None, "a string or a list of token ids, not [None]"),
        (7, None, "a string or a list of token ids, not 7"),
        ([], None, "the prompt is empty"),
    ],
)
def test_batches_that_cannot_be(llm: LLM, prompt: Any, params: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        llm.generate(prompt, params)
    assert message in str(caught.value)


def test_a_model_without_a_tokenizer_takes_token_ids(without: LLM, llm: LLM) -> None:
    expected = [each.token_ids for each in llm.generate(BATCH, GREEDY)]
    found = without.generate(BATCH, GREEDY)
    assert [each.token_ids for each in found] == expected
    assert {each.text for each in found} == {""}
    assert np.array_equal(without.logits(IDS), llm.logits(IDS))
    scored = without.generate(IDS, GREEDY.model_copy(update={"logprobs": True, "top_logprobs": 2}))
    assert [entry.token for entry in scored.logprobs or ()] == list(expected[2])


def test_its_end_token_is_the_configurations(without: LLM) -> None:
    end = SamplingParams(max_tokens=3, temperature=0, logit_bias={256: 100.0})
    assert without.generate([1, 2], end).finish_reason == "stop"


GRAMMAR = {"type": "regex", "value": "[a-z]+"}


@pytest.mark.parametrize(
    "call",
    [
        lambda llm: llm.generate("text"),
        lambda llm: llm.generate(["text", "more"]),
        lambda llm: llm.chat("text"),
        lambda llm: llm.tokenize("text"),
        lambda llm: llm.detokenize([1, 2]),
        lambda llm: llm.generate([1], SamplingParams(stop="x")),
        lambda llm: llm.generate([1], SamplingParams(grammar=GRAMMAR)),
        lambda llm: llm.generate([1], schema=bool),
        lambda llm: llm.generate([1], SamplingParams(dry_multiplier=1.0)),
    ],
)
def test_what_needs_its_text_is_one_error(without: LLM, call: Any) -> None:
    with pytest.raises(RequestError) as caught:
        call(without)
    said = str(caught.value)
    assert "has no tokenizer; looked for tokenizer.json" in said
    assert "copy those of the model that it was made from into the folder" in said
    assert said.endswith("takes and returns token ids only")
    assert "\n" not in said


def test_a_gguf_file_without_a_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gguf = pytest.importorskip("gguf")
    from .parity import gguf_file

    for part in ("tokenizer_model", "tokenizer_pre", "token_list", "token_types", "token_merges"):
        monkeypatch.setattr(gguf.GGUFWriter, f"add_{part}", lambda *given: None)

    path = tmp_path / "model.gguf"
    gguf_file.pair("llama", gguf.GGMLQuantizationType.Q8_0, path)
    with LLM(path, device="reference") as llm:
        assert len(llm.generate([1, 2, 3], GREEDY).token_ids) == 5
        with pytest.raises(RequestError, match="convert the model again, with its tokenizer"):
            llm.generate("text")
