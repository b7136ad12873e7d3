"""Layers that see a window hold no more than that, and nothing else changes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType as Type
from tramontane import LLM, SamplingParams
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.engine.block_pool import BlockPool
from tramontane.engine.sliding_window import Pages
from tramontane.registry import Registry

from .parity import gguf_file
from .parity.forward import greedy

WINDOW = 40
LONG = [(7 * i + 3) % 90 for i in range(230)]
PROMPTS = [LONG, [*LONG[:150], 5, 6], LONG[:60], [9, 8, 7], [*LONG[:64], 1]]
PARAMS = SamplingParams(temperature=0, max_tokens=40, ignore_eos=True)
SHORT = {
    "num_ctx": 512, "overrides": {"sliding_window": WINDOW, "attention_chunk_size": WINDOW},
}  # fmt: skip
FAMILIES = ["phi3", "gemma2", "llama4"]
"""One all of whose layers see a window, one with every second, and one with chunks in three of
four."""


@pytest.fixture(scope="module", params=FAMILIES)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("windows") / "model.gguf"
    gguf_file.pair(request.param, Type.Q8_0, path, max_position_embeddings=512)
    return path


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_answers_are_those_of_whole_caches(path: Path, device: str) -> None:
    exact = {"device": device, "activations": "f32", "dtype": "f32", **SHORT}
    registry = Registry()
    loaded = load_model(open_checkpoint(path, registry), registry, LoadOptions(**exact))
    expected = [greedy(loaded, prompt, 40) for prompt in PROMPTS]
    for cache in ({}, {"prefix_cache": False}, {"kv_tokens": 512}):
        with LLM(path, batch_size=48, max_seqs=3, **{"kv_tokens": 2048, **cache}, **exact) as llm:
            (pages,) = llm.inner.engine.cache.windows
            for _ in range(2):
                chunks = [llm.generate(prompt, PARAMS, stream=True) for prompt in PROMPTS]
                answers = [[c.token for c in chunk if c.token is not None] for chunk in chunks]
                assert answers == expected
            together = llm.generate(LONG, PARAMS.model_copy(update={"n": 3}))
            assert {c.token_ids for c in together.choices} == {tuple(expected[0])}
            if cache.get("prefix_cache") is False:
                assert pages.used == 0


def test_pages_are_few_while_a_long_text_runs(path: Path) -> None:
    with LLM(path, device="cpu", batch_size=32, **SHORT, prefix_cache=False) as llm:
        (pages,) = llm.inner.engine.cache.windows
        most = 0
        for _ in llm.generate(LONG, PARAMS.model_copy(update={"max_tokens": 200}), stream=True):
            most = max(most, pages.used)
        # the window's blocks, begun and ended within one, and those that are written
        assert 0 < most <= -(-(WINDOW + 32) // 16) + 2


def test_a_session_goes_on(path: Path) -> None:
    from tramontane.engine.request import Finished, Request

    with LLM(path, device="reference", **SHORT, prefix_cache=False) as llm:
        whole = llm.generate(LONG, PARAMS).token_ids
        short = PARAMS.model_copy(update={"max_tokens": 10})
        *_, kept = llm.stream(Request(prompt=tuple(LONG), params=short, keep=True))
        assert isinstance(kept, Finished)
        longer = (*LONG, *whole[:10])
        request = Request(prompt=longer, params=short, resume=kept.result.snapshot)
        *_, resumed = llm.stream(request)
        assert isinstance(resumed, Finished)
        assert resumed.result.usage.cached_tokens > len(LONG)
        assert resumed.result.token_ids == whole[10:20]


def held(pages: Pages, blocks: Sequence[int]) -> list[bool]:
    return (pages.look(torch.tensor(blocks)) != pages.nowhere).tolist()


def test_pages_come_and_go() -> None:
    pool, pages = BlockPool(8), Pages(8, window=20, block_size=16)
    blocks = pool.take(6)
    pages.ready(blocks[:3])
    assert pages.used == 3
    pages.passed(blocks, 0, 48, pool)  # place 48 looks back to 29, in the second block
    assert held(pages, blocks) == [False, True, True, False, False, False]
    assert pages.usable(blocks, 3) == 3
    assert pages.usable(blocks[:2], 2) == 0  # to go on at 32 takes what place 13 holds
    pool.hold(blocks[1:2])
    pages.passed(blocks, 48, 80, pool)  # another looks at the second
    assert held(pages, blocks)[:3] == [False, True, False]


def test_pages_of_chunks_come_and_go() -> None:
    pool, pages = BlockPool(8), Pages(8, window=40, block_size=16, chunked=True)
    blocks = pool.take(6)
    pages.ready(blocks)
    pages.passed(blocks, 0, 79, pool)  # place 79 sees from 40 on, in the third block
    assert held(pages, blocks) == [False, False, True, True, True, True]
    assert pages.usable(blocks, 6) == 6
    assert pages.usable(blocks, 2) == 0  # place 32 sees from 0 on
    pages.passed(blocks, 79, 80, pool)  # place 80 begins a chunk, and a block
    assert held(pages, blocks) == [False] * 5 + [True]
    assert pages.usable(blocks, 5) == 5


@pytest.mark.parametrize("seed", range(10))
def test_no_page_is_anybody_elses(seed: int) -> None:
    rng = random.Random(seed)
    pages = Pages(10, window=20, block_size=16)
    for _ in range(300):
        some = rng.sample(range(10), rng.randrange(4))
        (pages.ready if rng.random() < 0.5 else pages.release)(some)
        mine = [page for page in pages.of.tolist() if page != pages.nowhere]
        assert len(set(mine)) == len(mine) == pages.used
