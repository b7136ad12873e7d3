"""A model over two devices answers with the bits of the model on one of them, on every way through
the engine; each device has its layers' weights and caches alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tramontane import LLM, SamplingParams
from tramontane.blocks import Experts, Linear
from tramontane.engine.request import Request
from tramontane.engine.session_file import Session, read, save

from tests.media.compared import request as about
from tests.media.folders import picture, write
from tests.media.tiled import TILED
from tests.parity import reference

from .card import CARDS, GB, CardRegistry, cards

EXACT: dict[str, Any] = {"dtype": "f32", "activations": "f32", "num_ctx": 256}
ANSWER = SamplingParams(temperature=0, max_tokens=6, ignore_eos=True, logprobs=True)
LONG = [(7 * i + 3) % 60 for i in range(70)]
PROMPTS = [LONG, [*LONG[:40], 5, 6], [9, 8, 7]]
FAMILIES = {
    "llama": ("tied", "card:0=0,card:1=1-2"),
    "qwen3-moe": ("some-dense", "card:0=0-1,card:1=2"),
    "gemma3n": ("shared", "card:0=0-1,card:1=2-5"),
    "qwen3-next": ("experts", "card:0=0-2,card:1=3"),
    "deepseek-v3": ("groups", "card:1=0,card:0=1-2"),
    "zamba2": ("one-block", "card:0=0-2,card:1=3-4"),
}
"""Tied embeddings; experts; keys and values that other layers share; states; latents; blocks whose
weights are several layers'."""


GATE = ("llama", "gemma3n", "qwen3-next")
"""The others are tested by `./dev test --full`."""


@pytest.fixture(scope="module", params=FAMILIES if os.environ.get("TRAMONTANE_FULL") else GATE)
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("model")
    variant, device_map = FAMILIES[request.param]
    reference.make(request.param, variant, folder)
    return folder, device_map


@pytest.fixture(autouse=True)
def two_cards() -> Iterator[None]:
    with cards(GB, GB):
        yield


def opened(path: Path, **options: Any) -> LLM:
    return LLM(path, registry=CardRegistry(), **EXACT, **options)


def bits(llm: LLM, requests: list[Request]) -> list[Any]:
    found = llm._results(requests)
    assert [each.error for each in found] == [None] * len(found)
    return [(each.token_ids, each.logprobs) for each in found]


def asked(llm: LLM, prompts: list[list[int]], **more: Any) -> list[Request]:
    params = ANSWER.model_copy(update=more)
    return [one for prompt in prompts for one in llm.inner.requests(tuple(prompt), params)]


def test_every_way_through_the_engine(model: tuple[Path, str], tmp_path: Path) -> None:
    path, device_map = model
    ways: list[dict[str, Any]] = [
        {"batch_size": 16, "max_seqs": 3, "kv_tokens": 128},  # chunks, batches, preemption
        {"batch_size": 64, "draft": "ngram", "prefix_cache": True},  # prefix hits, drafts
    ]
    for number, way in enumerate(ways):
        found = []
        for where in ({"device": "card:0"}, {"device_map": device_map}):
            with opened(path, **where, **way) as llm:
                steps = [*asked(llm, PROMPTS), *asked(llm, PROMPTS[:1], n=2)]
                found.append([bits(llm, steps), bits(llm, asked(llm, PROMPTS))])
                if number == 0:
                    kept = Request(prompt=tuple(LONG), params=ANSWER, keep=True)
                    (first,) = llm._results([kept])
                    save(tmp_path / "saved", Session((), first.snapshot), llm.inner)
                    resume = read(tmp_path / "saved", llm.inner).snapshot
                    again = Request(
                        prompt=(*LONG, *first.token_ids, 4, 5), params=ANSWER, resume=resume
                    )
                    (second,) = llm._results([again])
                    assert second.usage.cached_tokens
                    found[-1].append(bits(llm, [again]))
        assert found[0] == found[1]


def test_each_device_has_its_own(model: tuple[Path, str]) -> None:
    path, device_map = model
    with opened(path, device_map=device_map) as llm:
        loaded, cache = llm.inner.loaded, llm.inner.engine.cache
        assert loaded.placed is not None
        prepared = {path for paths in CARDS.prepared.values() for path in paths}
        everything = dict(loaded.model.named_modules())
        assert prepared == set(everything), "every module is in one part"
        assert sum(map(len, CARDS.prepared.values())) == len(prepared), "and in no other"
        for name, parameter in loaded.model.named_parameters():
            assert str(parameter.device) == loaded.placed.placement.device(name).torch_device
        for spot in loaded.placed.spots.values():
            own = loaded.placed.layers()
            view = cache.on(spot.name)
            for index, layer in view.layers.items():
                assert layer.device == own[index].device
            assert {i for i, each in own.items() if each is spot} >= {
                i for i, layer in view.layers.items() if layer.device == spot.device
            }
        assert sorted(each.name for each in llm.report.devices) == ["card:0", "card:1"]
        assert llm.report.eager_reason == "the model is on several devices"
        assert min(CARDS.packed["card:0"], CARDS.packed["card:1"]) > 0


def test_experts_on_the_processor(tmp_path: Path) -> None:
    reference.make("qwen3-moe", "normalized", tmp_path)
    found = []
    for where in ({}, {"n_cpu_moe": 1}, {"n_cpu_moe": "all"}):
        with opened(tmp_path, device="card:0", batch_size=16, **where) as llm:
            found.append(bits(llm, asked(llm, PROMPTS)))
            for path, each in llm.inner.loaded.model.named_modules():
                if isinstance(each, Experts):
                    there = llm.inner.loaded.where(path)[1].type
                    aside = where.get("n_cpu_moe") == "all" or (where and ".0." in path)
                    assert there == ("cpu" if aside else "card")
    # the processor's kernels round otherwise, the tokens are the same
    assert [[tokens for tokens, _ in each] for each in found[1:]] == [
        [tokens for tokens, _ in found[0]]
    ] * 2


@pytest.mark.parametrize("family", ["llama", "qwen3-next", "deepseek-v3"])
def test_two_of_the_processors_backend(family: str, tmp_path: Path) -> None:
    reference.make(family, FAMILIES[family][0], tmp_path)
    layers = 4 if family == "qwen3-next" else 3
    found = []
    for where in ({"device": "cpu"}, {"device_map": f"cpu=0,twin=1-{layers - 1}"}):
        with opened(tmp_path, batch_size=16, **where) as llm:
            if llm.inner.loaded.placed is None:  # compare with what is not recorded either
                vars(llm.inner.loaded.model)["forward"].program = None
            alone = bits(llm, asked(llm, PROMPTS[:1]))
            together = bits(llm, asked(llm, PROMPTS))
            assert together[0] == alone[0]
            found.append(together)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "device_map", ["cpu=0,reference=1-2", "card:0=0,cpu=1-2", "cpu=0,card:0=1-2"]
)
def test_backends_of_several_kinds(device_map: str, tmp_path: Path) -> None:
    reference.make("llama", "grouped", tmp_path)
    with opened(tmp_path, device="reference") as llm:
        expected = llm.logits(LONG)
    with opened(tmp_path, device_map=device_map, batch_size=16) as llm:
        found = llm.logits(LONG)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_same_types_of_numbers_on_both_sides_of_a_border(tmp_path: Path) -> None:
    """A card computes in bfloat16, the processor in float32: hidden states change at the border."""
    reference.make("llama", "grouped", tmp_path)
    options = {"num_ctx": 256, "registry": CardRegistry(), "activations": "f32"}
    with LLM(tmp_path, device="reference", **options) as llm:
        expected = llm.logits(LONG)
    with cards(GB, dtype="bfloat16"):
        for where in ("card:0=0,cpu=1-2", "cpu=0-1,card:0=2"):
            with LLM(tmp_path, device_map=where, **options) as llm:
                found = llm.logits(LONG)
                dtypes = {each.dtype for each in llm.inner.loaded.model.parameters()}
                assert dtypes == {torch.bfloat16, torch.float32}
            assert 0 < np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def test_adapters_are_where_the_matrices_are(tmp_path: Path) -> None:
    from tests.test_adapters import adapter

    reference.make("llama", "grouped", tmp_path / "model")
    found = []
    for where in ({"device": "card:0"}, {"device_map": "card:0=0,card:1=1-2"}):
        with opened(tmp_path / "model", **where) as llm:
            shapes = {
                path: tuple(each.weight.shape)
                for path, each in llm.inner.loaded.model.named_modules()
                if type(each) is Linear and "layers" in path
            }
            for seed, name in enumerate("ab"):
                llm.load_adapter(name, adapter(tmp_path / name, seed, shapes))
            each = [
                asked(llm, PROMPTS[:1], adapter=name)[0] for name in (None, "a", "b", "a:0.5,b")
            ]
            found.append(bits(llm, each))
    assert found[0] == found[1]
    assert len({str(each) for each in found[0]}) == 4


def test_cross_attention_to_an_image(tmp_path: Path) -> None:
    vision = TILED["mllama"]
    write(tmp_path, vision)
    found = []
    layers = 0
    for _ in range(2):
        told = (
            {"device_map": f"card:0=0-1,card:1=2-{layers - 1}"} if layers else {"device": "card:0"}
        )
        with opened(tmp_path, batch_size=16, kv_type="f32", **told) as llm:
            layers = llm.inner.loaded.config.num_hidden_layers
            items = [llm.inner.processors["image"].prepare(picture(60, 61, n)) for n in range(2)]
            texts = (f"one {vision.mark} other {vision.mark} which?", "no image")
            requests = [
                about(llm, text, items[: text.count(vision.mark)], params=ANSWER) for text in texts
            ]
            # one by one: the reference's bits depend on company, and encoding on the clock
            found.append([bits(llm, [one]) for one in requests])
    assert found[0] == found[1]


def test_recorded_steps_have_no_trace_of_it(tmp_path: Path) -> None:
    """A model on one device is as it was: with the backend's own step."""
    reference.make("llama", "grouped", tmp_path)
    for where in (
        {"device": "cpu"},
        {"device_map": "cpu=0-2"},
        {"device": "auto", "gpu_layers": 0},
    ):
        with opened(tmp_path, **where) as llm:
            assert llm.inner.loaded.placed is None
            assert llm.report.eager_reason is None
            assert llm.report.devices == ()
            assert "forward" not in vars(llm.inner.loaded.model.model.layers[0])
