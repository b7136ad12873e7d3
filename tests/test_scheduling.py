"""Many requests on one cache: shared, taken away, refused, cancelled, and never different."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane import LLM, SamplingParams
from tramontane.engine.request import Finished, Request, RequestResult
from tramontane.errors import ConfigError, EngineBusy, NotEnoughMemory, RequestError

from .tiny import write_model

GREEDY = SamplingParams(temperature=0, max_tokens=20, ignore_eos=True)
LONG = GREEDY.model_copy(update={"max_tokens": 150})
PROMPT = tuple(range(5, 75))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_model(folder)
    return folder


Open = Callable[..., LLM]


@pytest.fixture
def open_llm(folder: Path) -> Iterator[Open]:
    """Opens models, and at the end looks that no block of theirs is held."""
    opened: list[LLM] = []

    def of(**options: Any) -> LLM:
        opened.append(LLM(folder, device="reference", **options))
        return opened[-1]

    yield of
    for llm in opened:
        assert llm.inner.engine.drain(timeout=60)
        assert llm.inner.engine.stats().kv_blocks_used == 0
        llm.close()


def ask(llm: LLM, **fields: Any) -> RequestResult:
    request = Request(**{"prompt": PROMPT, "params": GREEDY, **fields})
    *_, last = llm.stream(request)
    assert isinstance(last, Finished)
    return last.result


def test_a_prefix_hit_computes_less_and_answers_the_same(open_llm: Open) -> None:
    llm = open_llm()
    first = ask(llm)
    again = ask(llm)
    assert (first.usage.cached_tokens, again.usage.cached_tokens) == (0, 64)
    assert again.token_ids == first.token_ids
    longer = (*PROMPT, *first.token_ids, 7, 8, 9)
    known = ask(llm, prompt=longer)
    assert known.usage.cached_tokens == 80  # the answer is known too
    assert known.token_ids == ask(open_llm(), prompt=longer).token_ids
    stats = llm.inner.engine.stats()
    assert (stats.prefix_queries, stats.prefix_hits) == (64 + 64 + 80, 64 + 80)


def test_sharing_ends_at_another_salt_and_can_be_turned_off(open_llm: Open) -> None:
    llm = open_llm()
    ask(llm, cache_salt="mine")
    assert ask(llm, cache_salt="theirs").usage.cached_tokens == 0
    assert ask(llm, cache_salt="mine").usage.cached_tokens == 64
    without = open_llm(prefix_cache=False)
    ask(without)
    assert ask(without).usage.cached_tokens == 0


def test_requests_that_come_together_share_what_the_first_computes(open_llm: Open) -> None:
    llm = open_llm(batch_size=16)
    requests = [Request(prompt=(*PROMPT, i), params=GREEDY) for i in range(4)]
    streams = [llm.stream(request) for request in requests]
    results = [list(stream)[-1].result for stream in streams]  # type: ignore[union-attr]
    alone = [ask(open_llm(), prompt=request.prompt).token_ids for request in requests]
    assert [result.token_ids for result in results] == alone
    assert [result.usage.cached_tokens for result in results] == [0, 64, 64, 64]


def test_a_prompt_of_whole_blocks_still_computes_its_last_token(open_llm: Open) -> None:
    llm = open_llm()
    whole = PROMPT[:64]
    first = ask(llm, prompt=whole)
    again = ask(llm, prompt=whole)
    assert again.usage.cached_tokens == 48
    assert again.token_ids == first.token_ids


def test_scoring_looks_at_every_token(open_llm: Open) -> None:
    llm = open_llm()
    ask(llm)
    scored = ask(llm, score_prompt=True)
    assert len(scored.prompt_logprobs or ()) == len(PROMPT) - 1


def test_preemption_loses_nothing(open_llm: Open) -> None:
    roomy = open_llm(prefix_cache=False)
    prompts = [[i + 3] * (10 + 7 * i) for i in range(8)]
    drawn = LONG.model_copy(update={"temperature": 1.3, "seed": 5})
    alone = [roomy.generate(prompt, drawn).token_ids for prompt in prompts]
    for prefix_cache in (True, False):
        llm = open_llm(kv_tokens=320, prefix_cache=prefix_cache)
        chunks = [llm.generate(prompt, drawn, stream=True) for prompt in prompts]
        answers = [tuple(c.token for c in chunk if c.token is not None) for chunk in chunks]
        assert answers == alone
        assert llm.inner.engine.stats().preemptions > 0


def test_preempted_scores_are_counted_once(open_llm: Open) -> None:
    llm = open_llm(kv_tokens=256)
    scores: list[RequestResult] = []
    expected = ask(llm, score_prompt=True)
    first = llm.stream(Request(prompt=(3,) * 20, params=LONG))
    scored = threading.Thread(
        target=lambda: scores.append(ask(llm, params=LONG, score_prompt=True))
    )
    scored.start()
    list(first)
    scored.join()
    found, told = scores[0].prompt_logprobs or (), expected.prompt_logprobs or ()
    assert [entry.token for entry in found] == list(PROMPT[1:])
    logprobs = [entry.logprob for entry in told]
    assert [entry.logprob for entry in found] == pytest.approx(logprobs, abs=1e-4)


def test_answers_of_one_prompt_share_it(open_llm: Open) -> None:
    llm = open_llm(prefix_cache=False)
    params = GREEDY.model_copy(update={"n": 5, "temperature": 1.5, "seed": 2})
    together = llm.generate(PROMPT, params)
    seeds = [params.model_copy(update={"n": 1, "seed": 2 + i}) for i in range(5)]
    assert [c.token_ids for c in together.choices] == [
        llm.generate(PROMPT, seed).token_ids for seed in seeds
    ]
    cached = [choice.usage.cached_tokens for choice in together.choices]
    assert cached == [0] + [len(PROMPT)] * 4


def test_more_answers_than_places(open_llm: Open) -> None:
    llm = open_llm(max_seqs=2)
    params = GREEDY.model_copy(update={"n": 5})
    assert len({choice.token_ids for choice in llm.generate(PROMPT, params).choices}) == 1


def test_others_go_on_when_the_first_of_several_answers_is_cancelled(open_llm: Open) -> None:
    llm = open_llm(batch_size=16)
    leader, follower = llm.inner.requests(PROMPT, GREEDY.model_copy(update={"n": 2}))
    expected = ask(llm).token_ids
    first, second = llm.stream(leader), llm.stream(follower)
    first.cancel()
    *_, last = second
    assert isinstance(last, Finished)
    assert last.result.token_ids == expected
    *_, last = first
    assert isinstance(last, Finished)
    assert last.result.finish_reason == "cancelled"


def test_best_of_returns_the_likeliest(open_llm: Open) -> None:
    llm = open_llm()
    params = GREEDY.model_copy(update={"temperature": 1.5, "seed": 1, "logprobs": True})
    every = llm.generate(PROMPT, params.model_copy(update={"n": 6})).choices

    def mean(result: RequestResult) -> float:
        return sum(entry.logprob for entry in result.logprobs or ()) / len(result.token_ids)

    best = llm.generate(PROMPT, params.model_copy(update={"n": 2, "best_of": 6})).choices
    expected = sorted(every, key=mean, reverse=True)[:2]
    assert [c.token_ids for c in best] == [c.token_ids for c in expected]
    with pytest.raises(RequestError, match="best_of=6 cannot be streamed"):
        llm.generate(PROMPT, SamplingParams(best_of=6), stream=True)
    with pytest.raises(RequestError, match="best_of=1 is less than n=2"):
        SamplingParams(n=2, best_of=1)


def test_priorities_go_first(open_llm: Open) -> None:
    llm = open_llm(max_seqs=1)
    running = llm.stream(Request(prompt=PROMPT, params=LONG))
    next(running)
    ended: list[int] = []

    def wait(priority: int) -> None:
        ask(llm, priority=priority)
        ended.append(priority)

    threads = []
    for priority in (5, 0, -5):
        threads.append(threading.Thread(target=wait, args=(priority,)))
        threads[-1].start()
        while llm.inner.engine.stats().waiting < len(threads):
            time.sleep(0.001)
    list(running)
    for thread in threads:
        thread.join()
    assert ended == [-5, 0, 5]


def test_a_full_queue_refuses_and_an_old_request_is_told(open_llm: Open) -> None:
    llm = open_llm(max_seqs=1, max_waiting=1, queue_timeout=0.0)
    running = llm.stream(Request(prompt=PROMPT, params=LONG))
    next(running)
    waiting = llm.stream(Request(prompt=PROMPT, params=LONG))
    with pytest.raises(EngineBusy, match="1 requests are waiting"):
        llm.stream(Request(prompt=PROMPT, params=LONG))
    *_, last = waiting
    assert isinstance(last, Finished)
    assert last.result.busy
    assert "not scheduled within 0 s" in (last.result.error or "")
    list(running)


def test_a_drained_engine_ends_what_it_has_and_takes_no_more(open_llm: Open) -> None:
    llm = open_llm()
    running = llm.stream(Request(prompt=PROMPT, params=LONG))
    next(running)
    assert llm.inner.engine.drain(timeout=60)
    *_, last = running
    assert isinstance(last, Finished)
    assert last.result.finish_reason == "length"
    with pytest.raises(EngineBusy, match="shutting down"):
        llm.generate("late", GREEDY)


def test_a_cache_that_cannot_be_is_refused(folder: Path) -> None:
    with pytest.raises(NotEnoughMemory, match="give fewer tokens"):
        LLM(folder, device="reference", kv_tokens=10**13)
    with pytest.raises(ConfigError, match="holds not one block"):
        LLM(folder, device="reference", kv_memory="1B")
    with pytest.raises(ConfigError, match="keep one"):
        LLM(folder, device="reference", kv_tokens=100, kv_memory="1GB")


def test_a_small_cache_makes_a_short_context(open_llm: Open) -> None:
    llm = open_llm(kv_tokens=64)
    assert llm.context_length == 64
    assert llm.generate([5] * 10, LONG).finish_reason == "context"
    with pytest.raises(RequestError, match="70 tokens and the context 64"):
        llm.generate(PROMPT, GREEDY)


def test_a_step_that_fails_for_one_fails_that_one(
    open_llm: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = open_llm()
    expected = llm.generate([5, 6, 7], GREEDY).token_ids
    model, bad = llm.inner.loaded.model, 99
    forward = type(model).forward

    def failing(self: Any, tokens: torch.Tensor, batch: Any) -> torch.Tensor:
        if (tokens == bad).any():
            raise RuntimeError("the kernel tripped")
        return forward(self, tokens, batch)

    monkeypatch.setattr(type(model), "forward", failing)
    good = llm.stream(Request(prompt=(5, 6, 7), params=GREEDY))
    failed = ask(llm, prompt=(5, bad))
    assert "the kernel tripped" in (failed.error or "")
    *_, last = good
    assert isinstance(last, Finished)
    assert last.result.token_ids == expected
    assert llm.inner.engine.stats().failed_steps > 0


def test_damaged_logits_end_their_request_and_are_not_remembered(
    open_llm: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = open_llm()
    model = llm.inner.loaded.model
    forward = type(model).forward
    with monkeypatch.context() as patch:
        patch.setattr(type(model), "forward", lambda *a: torch.full_like(forward(*a), float("nan")))
        assert "nan among the logits" in (ask(llm).error or "")
    healthy = ask(llm)
    assert healthy.usage.cached_tokens == 0
    assert healthy.finish_reason == "length"


def test_a_listener_that_raises_harms_nobody(open_llm: Open) -> None:
    llm = open_llm()

    def gone(_: object) -> None:
        raise ValueError("nobody is there")

    llm.inner.engine.submit(Request(prompt=PROMPT, params=GREEDY), gone)
    assert ask(llm).finish_reason == "length"
