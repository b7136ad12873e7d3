"""The engine through the Python API: what is asked for is what comes, however it is asked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane import LLM, AsyncLLM, SamplingParams
from tramontane.engine.request import Finished, Request
from tramontane.errors import RequestError

from .tiny import write_model

GREEDY = SamplingParams(temperature=0, max_tokens=20, ignore_eos=True)
DRAWN = SamplingParams(temperature=1.5, top_k=30, seed=3, max_tokens=20, ignore_eos=True)
PROMPTS = ["once", "a much longer prompt, of which only the beginning matters", "x", "tell me"]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    return write_model(folder), folder


@pytest.fixture(scope="module")
def llm(theirs: tuple[Any, Path]) -> Iterator[LLM]:
    with LLM(theirs[1], device="reference", batch_size=16) as model:
        yield model
        assert model.inner.engine.cache.free == model.inner.engine.cache.blocks


def test_greedy_text_is_transformers_own(llm: LLM, theirs: tuple[Any, Path]) -> None:
    prompt = llm.tokenize("once upon")
    theirs[0].generation_config.eos_token_id = None
    expected = theirs[0].generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False)
    assert list(llm.generate("once upon", GREEDY).token_ids) == expected[0, len(prompt) :].tolist()


def test_streamed_text_is_the_whole_text(llm: LLM) -> None:
    chunks = list(llm.generate("stream", GREEDY, stream=True))
    whole = llm.generate("stream", GREEDY)
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert chunks[-1].result is not None
    assert chunks[-1].result.text == whole.text
    assert [c.token for c in chunks if c.token is not None] == list(whole.token_ids)


@pytest.mark.parametrize("params", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_together_as_alone(llm: LLM, params: SamplingParams) -> None:
    alone = [llm.generate(prompt, params).token_ids for prompt in PROMPTS]
    assert [answer.token_ids for answer in llm.generate(PROMPTS, params)] == alone


def test_same_seed_same_tokens_and_the_result_says_which(llm: LLM) -> None:
    free = SamplingParams(temperature=1.5, max_tokens=20, ignore_eos=True)
    first = llm.generate("seed", free).choices[0]
    again = llm.generate("seed", free.model_copy(update={"seed": first.seed})).choices[0]
    assert again.token_ids == first.token_ids
    other = llm.generate("seed", free.model_copy(update={"seed": first.seed + 1})).choices[0]
    assert other.token_ids != first.token_ids


def test_n_answers_differ_and_are_reproducible(llm: LLM) -> None:
    params = DRAWN.model_copy(update={"n": 3})
    answer = llm.generate("many", params)
    assert len({choice.token_ids for choice in answer.choices}) == 3
    assert answer.usage.completion_tokens == 60
    assert llm.generate("many", params).choices[2].token_ids == answer.choices[2].token_ids


def test_stop_string_ends_the_text_and_is_not_shown(llm: LLM) -> None:
    text = llm.generate("stop", GREEDY).text
    stop = text[6:9]
    cut = llm.generate("stop", GREEDY.model_copy(update={"stop": (stop,)}))
    assert cut.text == text[: text.index(stop)]
    assert (cut.finish_reason, cut.choices[0].stop) == ("stop", stop)


def test_end_token_ends_unless_ignored(llm: LLM) -> None:
    end = llm.generate("end", GREEDY).token_ids[4]
    params = GREEDY.model_copy(update={"stop_token_ids": (end,)})
    result = llm.generate("end", params)
    assert result.finish_reason == "stop"
    assert result.token_ids[-1] == end


def test_full_context_is_an_end_reason(llm: LLM) -> None:
    long = GREEDY.model_copy(update={"max_tokens": None})
    result = llm.generate([65] * 240, long)
    assert result.finish_reason == "context"
    assert result.usage.prompt_tokens + result.usage.completion_tokens == llm.context_length


def test_max_tokens(llm: LLM) -> None:
    assert llm.generate("n", GREEDY).finish_reason == "length"
    none = llm.generate("n", GREEDY.model_copy(update={"max_tokens": 0}))
    assert (none.text, none.token_ids, none.finish_reason) == ("", (), "length")


def test_logprobs_are_the_models_own(llm: LLM, theirs: tuple[Any, Path]) -> None:
    params = DRAWN.model_copy(update={"logprobs": True, "top_logprobs": 3, "max_tokens": 4})
    result = llm.generate("log", params)
    tokens = [*llm.tokenize("log"), *result.token_ids]
    with torch.inference_mode():
        expected = theirs[0](torch.tensor([tokens])).logits[0].float().log_softmax(-1)
    assert result.logprobs is not None
    for offset, entry in enumerate(result.logprobs):
        row = expected[len(tokens) - 5 + offset]
        assert entry.logprob == pytest.approx(float(row[entry.token]), abs=1e-4)
        assert [top[0] for top in entry.top] == row.topk(3).indices.tolist()


def test_prompt_is_scored(llm: LLM, theirs: tuple[Any, Path]) -> None:
    tokens = llm.tokenize(
        "a prompt of some length, longer than one step of the engine takes at once"
    )
    request = Request(prompt=tuple(tokens), params=SamplingParams(max_tokens=0), score_prompt=True)
    *_, last = llm.stream(request)
    assert isinstance(last, Finished)
    with torch.inference_mode():
        rows = theirs[0](torch.tensor([tokens])).logits[0].log_softmax(-1)
    expected = rows[torch.arange(len(tokens) - 1), torch.tensor(tokens[1:])]
    scores = [entry.logprob for entry in last.result.prompt_logprobs or ()]
    assert scores == pytest.approx(expected.tolist(), abs=1e-4)


def test_chat_uses_the_template(llm: LLM) -> None:
    messages = [{"role": "user", "content": "hello"}]
    rendered = "<|start|>user\nhello<|end|><|start|>assistant\n"
    assert llm.inner.render(messages) == rendered
    by_hand = llm.generate(llm.tokenize(rendered), GREEDY)
    assert llm.chat(messages, GREEDY).token_ids == by_hand.token_ids
    assert llm.chat("hello", GREEDY).token_ids == by_hand.token_ids


def test_resuming_computes_less_and_changes_nothing(llm: LLM) -> None:
    first = tuple(llm.tokenize("the beginning of a conversation"))
    *_, kept = llm.stream(Request(prompt=first, params=GREEDY, keep=True))
    assert isinstance(kept, Finished)
    longer = (*first, *kept.result.token_ids, *llm.tokenize(" and more"))
    fresh = llm.generate(longer, GREEDY)
    *_, resumed = llm.stream(Request(prompt=longer, params=GREEDY, resume=kept.result.snapshot))
    assert isinstance(resumed, Finished)
    assert resumed.result.token_ids == fresh.token_ids
    assert resumed.result.usage.cached_tokens == len(first) + len(kept.result.token_ids) - 1


def test_closing_a_stream_frees_its_blocks(llm: LLM) -> None:
    long = GREEDY.model_copy(update={"max_tokens": 200})
    stream = llm.generate("cancel", long, stream=True)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    llm.generate("another", GREEDY)
    assert llm.inner.engine.cache.free == llm.inner.engine.cache.blocks


def test_a_script_may_end_in_the_middle_of_an_answer(theirs: tuple[Any, Path]) -> None:
    script = (
        "import sys; from tramontane import LLM, SamplingParams; llm = LLM(sys.argv[1]);"
        "params = SamplingParams(max_tokens=400, ignore_eos=True);"
        "print(next(iter(llm.generate('a', params, stream=True))))"
    )
    command = [sys.executable, "-c", script, str(theirs[1])]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_more_requests_than_fit_all_get_their_turn(theirs: tuple[Any, Path]) -> None:
    with LLM(theirs[1], device="reference", kv_tokens=256, max_seqs=3) as small:
        answers = small.generate(["turn"] * 7, GREEDY.model_copy(update={"max_tokens": 100}))
    assert len({answer.token_ids for answer in answers}) == 1
    assert len(answers) == 7


def test_callers_in_several_threads(llm: LLM) -> None:
    answers: dict[int, tuple[int, ...]] = {}

    def ask(index: int) -> None:
        answers[index] = llm.generate(PROMPTS[index % 4], DRAWN).token_ids

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answers[index] == answers[index % 4] for index in range(8))


def test_a_failed_step_fails_its_requests_and_no_others(
    llm: LLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(llm.inner.loaded.model.lm_head, "kernel", _out_of_memory)
        with pytest.raises(RequestError, match="no memory left"):
            llm.generate("fail", GREEDY)
    assert llm.generate("fail", GREEDY).finish_reason == "length"


def _out_of_memory(*_: object) -> None:
    raise RuntimeError("no memory left")


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("", "empty"),
        ([1] * 256, "256 tokens and the context 256"),
        ([5, 100000], "outside the vocabulary"),
        ([5, -1], "outside the vocabulary"),
    ],
)
def test_prompts_that_cannot_be_are_refused_at_the_call(
    llm: LLM, prompt: str | list[int], said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        llm.generate(prompt, GREEDY, stream=True)


def test_a_closed_model_says_so(theirs: tuple[Any, Path]) -> None:
    model = LLM(theirs[1], device="reference")
    model.close()
    with pytest.raises(RequestError, match="closed"):
        model.generate("late", GREEDY)


def test_async_answers_are_the_same(theirs: tuple[Any, Path], llm: LLM) -> None:
    async def ask() -> tuple[list[tuple[int, ...]], str]:
        async with AsyncLLM(theirs[1], device="reference") as model:
            answers = await asyncio.gather(*(model.generate(p, DRAWN) for p in PROMPTS))
            pieces = [chunk.text async for chunk in model.chat("hello", GREEDY, stream=True)]
            return [answer.token_ids for answer in answers], "".join(pieces)

    tokens, text = asyncio.run(ask())
    assert tokens == [llm.generate(prompt, DRAWN).token_ids for prompt in PROMPTS]
    assert text == llm.chat("hello", GREEDY).text


def test_async_cancellation_frees_blocks(theirs: tuple[Any, Path]) -> None:
    async def cancel() -> int:
        async with AsyncLLM(theirs[1], device="reference") as model:
            long = GREEDY.model_copy(update={"max_tokens": 200})
            task = asyncio.ensure_future(model.generate("cancel", long))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await model.generate("after", GREEDY)
            return model.inner.engine.cache.blocks - model.inner.engine.cache.free

    assert asyncio.run(cancel()) == 0
