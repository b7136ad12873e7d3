"""Models that keep a state in place of keys: the same answers on every way through the engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from tramontane import LLM, SamplingParams
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.engine.batch import Batch
from tramontane.engine.request import Finished, Request, RequestResult
from tramontane.engine.scheduler import SNAPSHOT_EVERY
from tramontane.engine.session_file import Session, read, save
from tramontane.engine.state_cache import StateCache, bytes_per_sequence, state_shapes
from tramontane.errors import ConfigError, NotEnoughMemory, RequestError, SessionError
from tramontane.registry import Registry

from .parity import reference
from .parity.forward import greedy

LONG = [(7 * i + 3) % 90 for i in range(230)]
PROMPTS = [LONG, [*LONG[:150], 5, 6], LONG[:60], [9, 8, 7], [*LONG[:64], 1]]
PARAMS = SamplingParams(temperature=0, max_tokens=40, ignore_eos=True)
FAMILIES = {
    "qwen3-next": "experts",
    "granite-4": "hybrid",
    "jamba": "experts",
    "bamba": "half",
    "minimax": "factors",
    "zamba2": "adapters",
    "mamba": "biases",
}
"""The delta rule, Mamba-2 without positions and with them, the selective scan with and without
attention, linear attention of a constant decay, and layers that have a state and keys."""


@pytest.fixture(scope="module", params=FAMILIES)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("states")
    reference.make(request.param, FAMILIES[request.param], folder)
    return folder


def opened(path: Path, device: str = "cpu", **options: object) -> LLM:
    exact = {"device": device, "activations": "f32", "dtype": "f32"}
    overrides = {"max_position_embeddings": 2048}
    return LLM(path, num_ctx=1024, overrides=overrides, **exact, **options)  # type: ignore[arg-type]


def ended(llm: LLM, request: Request) -> RequestResult:
    *_, last = llm.stream(request)
    assert isinstance(last, Finished)
    return last.result


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_answers_are_those_of_the_model_alone(path: Path, device: str) -> None:
    registry = Registry()
    exact = {"device": device, "activations": "f32", "dtype": "f32", "num_ctx": 1024}
    overrides = {"max_position_embeddings": 2048}
    options = LoadOptions(**exact, overrides=overrides)
    loaded = load_model(open_checkpoint(path, registry), registry, options)
    expected = [greedy(loaded, prompt, 40) for prompt in PROMPTS]
    for cache in ({}, {"prefix_cache": False}, {"kv_tokens": 512}, {"state_slots": 2}):
        with opened(path, device, batch_size=48, max_seqs=3, **{"kv_tokens": 2048, **cache}) as llm:
            for _ in range(2):
                chunks = [llm.generate(prompt, PARAMS, stream=True) for prompt in PROMPTS]
                answers = [[c.token for c in chunk if c.token is not None] for chunk in chunks]
                assert answers == expected
            together = llm.generate(LONG, PARAMS.model_copy(update={"n": 3}))
            assert {c.token_ids for c in together.choices} == {tuple(expected[0])}
            states = llm.inner.engine.cache.states
            assert states.snapshots <= states.count
            assert bool(states.snapshots) == (cache.get("prefix_cache") is not False)


def test_a_prefix_is_not_computed_twice(path: Path) -> None:
    prefix = [(5 * i + 1) % 90 for i in range(SNAPSHOT_EVERY)]
    with opened(path) as llm, opened(path, prefix_cache=False) as plain:
        asked = Request(prompt=(*prefix, *LONG[:50]), params=PARAMS)
        first = ended(llm, asked)
        # the shared beginning, up to the last snapshot within it
        other = Request(prompt=(*prefix, *LONG[100:130]), params=PARAMS)
        second = ended(llm, other)
        assert second.usage.cached_tokens == SNAPSHOT_EVERY
        # a conversation that goes on: the prompt, and the answer as far as it has a snapshot
        longer = Request(prompt=(*asked.prompt, *first.token_ids, 4, 5), params=PARAMS)
        third = ended(llm, longer)
        assert third.usage.cached_tokens >= len(asked.prompt) // 16 * 16
        assert second.token_ids == ended(plain, other).token_ids
        assert third.token_ids == ended(plain, longer).token_ids


def test_a_session_goes_on_and_is_saved(path: Path, tmp_path: Path) -> None:
    with opened(path, prefix_cache=False) as llm:
        short = PARAMS.model_copy(update={"max_tokens": 10})
        kept = ended(llm, Request(prompt=tuple(LONG), params=short, keep=True))
        longer = (*LONG, *kept.token_ids, 7)
        whole = ended(llm, Request(prompt=longer, params=short))
        file = tmp_path / "session"
        save(file, Session((), kept.snapshot), llm.inner)
        saved = read(file, llm.inner).snapshot
        resumed = ended(llm, Request(prompt=longer, params=short, resume=saved))
        assert resumed.token_ids == whole.token_ids
        assert resumed.usage.cached_tokens == len(LONG) + 9
        # a state cannot be cut back: another continuation begins anew
        aside = Request(prompt=(*LONG[:100], 8), params=short, resume=saved)
        assert ended(llm, aside).usage.cached_tokens == 0
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        with safe_open(file, framework="pt") as opened_file:
            metadata = opened_file.metadata()
        tensors = {n: t for n, t in load_file(file).items() if not n.startswith("state.")}
        save_file(tensors, file, metadata)
        with pytest.raises(SessionError, match="it has no states"):
            read(file, llm.inner)


def test_slots_have_a_number(path: Path) -> None:
    with pytest.raises(RequestError, match=r"state_slots should be .* from 1 on"):
        opened(path, state_slots=0)
    with pytest.raises(NotEnoughMemory, match=r"state_slots=1000000000: .*--state-slots"):
        opened(path, state_slots=10**9)
    with pytest.raises(ConfigError, match=r"(not one block|is less than) .*states"):
        opened(path, kv_memory="1KB")
    with opened(path, kv_memory="8MB") as llm:
        cache = llm.inner.engine.cache
        assert cache.states.count >= 4
        assert cache.states.count * bytes_per_sequence(llm.inner.loaded.model) < 8e6


class Kept(nn.Module):
    """A state of three numbers for layer 1, and one of two for layer 0."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Module(), nn.Module()
        self.one.index, self.one.states = 1, {"sum": (3,)}  # type: ignore[assignment]
        self.other.index, self.other.states = 0, {"sum": (2,)}  # type: ignore[assignment]


def filled(cache: StateCache, slot: int, number: float) -> None:
    for index in cache.shapes:
        cache[index]["sum"][slot] = number


def test_snapshots_give_way_to_sequences() -> None:
    cache = StateCache(Kept(), 3, torch.device("cpu"))
    assert list(cache.shapes) == [0, 1]
    slot = cache.take()
    filled(cache, slot, 1.0)
    cache.keep(b"a", slot)
    filled(cache, slot, 2.0)
    cache.keep(b"b", slot)
    filled(cache, slot, 3.0)
    cache.keep(b"c", slot)  # no slot is free: the oldest gives way
    assert cache.usable([b"a", b"b", b"x"], 3) == 2
    assert cache.usable([b"a"], 1) == 0
    cache.keep(b"d", slot, instead_of=b"c")
    assert cache.snapshots == 2
    other = cache.take(b"b")  # and goes on from one, which the other snapshot makes room for
    assert cache[1]["sum"][other].tolist() == [2.0] * 3
    last = cache.take(b"b")  # the only one left is taken over itself
    assert cache[0]["sum"][last].tolist() == [2.0] * 2
    assert not cache.snapshots
    assert not cache.available
    with pytest.raises(NotEnoughMemory, match="all 3 slots for states are in use"):
        cache.take()
    cache.give_back(other)
    assert cache.take() == other


def test_forgotten_snapshots_are_not_found() -> None:
    cache = StateCache(Kept(), 2, torch.device("cpu"))
    slot = cache.take()
    cache.keep(b"a", slot)
    cache.forget([b"a", b"b"])
    assert cache.usable([b"a"], 1) == 0
    cache.keep(b"b", slot)
    assert cache.usable([b"a", b"b"], 2) == 2


def test_a_name_is_taken_once() -> None:
    model = Kept()
    model.one.index = 0  # type: ignore[assignment]
    with pytest.raises(ValueError, match="two modules of layer 0 keep a state 'sum'"):
        state_shapes(model)


def test_models_without_states_need_no_slots() -> None:
    cache = StateCache(nn.Linear(2, 2), 4, torch.device("cpu"))
    assert not cache
    assert cache.available
    assert [cache.take(), cache.take()] == [0, 0]


@pytest.mark.parametrize("persistent", [False, True])
def test_a_failed_step_leaves_no_state_behind(path: Path, persistent: bool) -> None:
    """In company, where the layers before the one that failed have gone on."""
    other = tuple(LONG[:10:-1])
    with opened(path, "reference", batch_size=48) as llm:
        engine = llm.inner.engine
        expected = [ended(llm, Request(prompt=p, params=PARAMS)).token_ids for p in (LONG, other)]
        assert engine.stats().failed_steps == 0
        last = llm.inner.loaded.model.model.layers[-1]
        written, failed = last.forward, [0]

        def fails(x: torch.Tensor, batch: Batch, *more: torch.Tensor) -> torch.Tensor:
            decodes = len(batch.spans) > 1 and batch.spans[0].length > len(LONG) + 5
            if decodes and (persistent or not failed[0]) and failed[0] < 5:
                failed[0] += 1
                raise RuntimeError("out of luck")
            return written(x, batch, *more)  # type: ignore[no-any-return]

        last.forward = fails
        requests = [Request(prompt=tuple(p), params=PARAMS) for p in (LONG, other)]
        streams = [llm.stream(request) for request in requests]
        for stream in streams:
            next(stream)
        results = [list(stream)[-1] for stream in streams]
        assert [result.result.token_ids for result in results] == expected  # type: ignore[union-attr]
        assert engine.stats().failed_steps == failed[0] == (5 if persistent else 1)
        states = engine.cache.states
        assert states.snapshots + len(states._free) == states.count
