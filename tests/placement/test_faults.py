"""What a device's errors do: less memory than a step takes, and a device that is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tramontane import LLM, SamplingParams
from tramontane.backend import DeviceLost
from tramontane.engine.device_errors import failure_of
from tramontane.engine.request import Finished
from tramontane.errors import ModelLost

from tests.parity import reference

from .card import CARDS, GB, CardRegistry, cards

ANSWER = SamplingParams(temperature=0, max_tokens=6, ignore_eos=True)
LONG = [(7 * i + 3) % 60 for i in range(120)]
PROMPTS = [LONG, [*LONG[:40], 5, 6], [9, 8, 7]]
MAP = {"llama": "card:0=0,card:1=1-2", "qwen3-next": "card:0=0-1,card:1=2-3"}


@pytest.fixture(scope="module", params=MAP)
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """Keys and values alone, and states beside them."""
    folder = tmp_path_factory.mktemp("model")
    variant = {"llama": "grouped", "qwen3-next": "experts"}[request.param]
    reference.make(request.param, variant, folder)
    return folder, MAP[request.param]


@pytest.fixture(autouse=True)
def two_cards() -> Iterator[None]:
    with cards(GB, GB):
        yield


def opened(model: tuple[Path, str], **options: Any) -> LLM:
    path, device_map = model
    exact: dict[str, Any] = {"dtype": "f32", "activations": "f32", "num_ctx": 256}
    return LLM(path, registry=CardRegistry(), device_map=device_map, **exact, **options)


def answers(llm: LLM, prompts: list[list[int]] = PROMPTS) -> list[Any]:
    """The tokens of each, or its error."""
    asked = [one for prompt in prompts for one in llm.inner.requests(tuple(prompt), ANSWER)]
    events: SimpleQueue[Any] = SimpleQueue()
    for one in asked:
        llm.inner.engine.submit(one, events.put)
    found: dict[str, Any] = {}
    while len(found) < len(asked):
        event = events.get(timeout=60)
        if isinstance(event, Finished):
            found[event.id] = event.result.error or event.result.token_ids
    return [found[one.id] for one in asked]


def test_steps_that_find_no_memory_are_cut(
    model: tuple[Path, str], caplog: pytest.LogCaptureFixture
) -> None:
    with opened(model) as llm:
        expected = answers(llm)
        before = llm.inner.engine.stats().failed_steps
    assert before == 0
    with opened(model, prefix_cache=False) as llm:
        wide = llm.inner.loaded.config.intermediate_size
        CARDS.largest = 4 * wide * 50  # what 50 tokens take in the widest place
        assert answers(llm) == expected
        engine = llm.inner.engine
        assert engine.stats().failed_steps
        assert engine._scheduler.batch_size < 50
        assert "steps have" in caplog.text
        failed = engine.stats().failed_steps
        assert answers(llm) == expected
        assert engine.stats().failed_steps == failed, "later steps are smaller"
        CARDS.largest = 1  # not even one token
        assert all("out of memory, even for one request" in each for each in answers(llm))
        CARDS.largest = None
        assert answers(llm) == expected, "the engine goes on"
        assert engine.cache.free == engine.cache.pool.count


def raises(error: BaseException, after: int) -> Callable[[], None]:
    count = 0

    def fault() -> None:
        nonlocal count
        count += 1
        if count > after:
            raise error

    return fault


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        DeviceLost("fell off the bus"),
        torch.AcceleratorError("unspecified launch failure"),
    ],
    ids=["text", "told", "torch"],
)
def test_a_lost_device_ends_all_requests(model: tuple[Path, str], error: Exception) -> None:
    with opened(model) as llm:
        engine = llm.inner.engine
        CARDS.fault = raises(error, after=500)
        found = answers(llm)
        assert all("is lost" in str(each) and "load it again" in str(each) for each in found)
        assert "card:0 + card:1" in engine.lost
        with pytest.raises(ModelLost, match="is lost"):
            llm.generate(LONG, ANSWER)
        stats = engine.stats()
        assert (stats.running, stats.waiting) == (0, 0)
        assert engine.cache.free == engine.cache.pool.count
        CARDS.fault = None


@pytest.mark.parametrize("ask", ["generate", "embed"])
def test_who_waits_for_a_device_that_is_lost_is_told(model: tuple[Path, str], ask: str) -> None:
    with opened(model) as llm:
        CARDS.fault = raises(DeviceLost("fell off the bus"), after=50)
        with pytest.raises(ModelLost, match="load it again"):
            getattr(llm, ask)([LONG, PROMPTS[1]])
        CARDS.fault = None


def test_a_lost_rank_is_noticed_before_anyone_asks(model: tuple[Path, str]) -> None:
    with opened(model) as llm:
        engine = llm.inner.engine
        whole = engine.loaded
        assert engine.lost == ""
        engine.loaded = replace(whole, team=SimpleNamespace(lost="rank 1 has ended"))  # type: ignore[arg-type]
        assert engine.lost == "rank 1 has ended"
        with pytest.raises(ModelLost, match="rank 1"):
            llm.generate(LONG, ANSWER)
        engine.loaded = whole


def test_an_error_of_one_request_is_that_requests(model: tuple[Path, str]) -> None:
    with opened(model) as llm:
        expected = answers(llm)
        CARDS.fault = raises(ValueError("odd"), after=100)
        assert all("ValueError: odd" in each for each in answers(llm))
        CARDS.fault = None
        assert answers(llm) == expected
        cache = llm.inner.engine.cache
        assert cache.free == cache.pool.count
        assert llm.inner.engine.stats().running == 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("no room"), "memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried"),
            "memory",
        ),
        (RuntimeError("CUDA error: out of memory"), "memory"),
        (MemoryError(), "memory"),
        (RuntimeError("CUDA error: device-side assert triggered"), "lost"),
        (RuntimeError("shape '[2]' is invalid for input of size 3"), None),
        (ValueError("out of memory of good names"), None),
    ],
)
def test_what_errors_say(error: Exception, expected: str | None) -> None:
    assert failure_of(error) == expected
    wrapped = ValueError("in a kernel")
    wrapped.__cause__ = error
    assert failure_of(wrapped) == expected
