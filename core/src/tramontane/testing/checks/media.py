"""What every family that takes media must do, built from its example with random weights."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
import torch

from tramontane.blocks import MediaLM
from tramontane.config import read_config
from tramontane.engine.engine import Engine
from tramontane.engine.options import EngineOptions
from tramontane.engine.request import Request
from tramontane.media.item import Media, MediaItem, runs_of
from tramontane.media.processor import Frames, MediaProcessor, by_kind
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry
from tramontane.sampling_params import SamplingParams
from tramontane.testing.engine_runs import CONTEXT, answers, on_reference, plain_tokenizer, results
from tramontane.testing.random_model import random_model

ROW, OTHERS = 1, (2, 3, 4, 5)
"""Ids in the prompts: of an item's rows, and of text."""
GREEDY = SamplingParams(temperature=0, max_tokens=4, logprobs=True)


@pytest.fixture
def processors(offer: Architecture) -> Collection[MediaProcessor]:
    """Of the example, without a checkpoint's files; one of each kind."""
    config = read_config(load(offer.config), offer.example)
    return by_kind(load(offer.media or "")(config, {})).values()


@pytest.fixture
def model(offer: Architecture) -> MediaLM:
    found = random_model(offer)
    assert isinstance(found, MediaLM), "model= must name a subclass of MediaLM, as media= is given"
    return found


def given(processor: MediaProcessor, seed: int) -> Any:
    """What a processor's kind takes: a picture, half a second of noise, or a video."""
    random = np.random.default_rng(seed)
    match processor.kind:
        case "image":
            return random.integers(0, 256, (40, 30, 3), np.uint8)
        case "audio":
            return random.normal(0, 0.1, processor.rate // 2).astype(np.float32)
    chosen = list(processor.chosen(24, 12.0))
    size = processor.frame_size(len(chosen), 40, 30)
    pixels = random.integers(0, 256, (len(chosen), 40, 30, 3), np.uint8)
    frames = np.stack([processor.frame(each, *size) for each in pixels])
    return Frames(frames, chosen, 12.0, 24, (40, 30))


def test_what_is_written_has_a_token_for_each_row(processors: Collection[MediaProcessor]) -> None:
    for processor in processors:
        item = processor.prepare(given(processor, 0))
        assert item.kind == processor.kind
        assert item.rows > 0
        assert processor.written(item).count(processor.row) == item.rows
        assert processor.mark
        assert isinstance(processor.mutual, bool)


def test_preparing_again_gives_the_same(processors: Collection[MediaProcessor]) -> None:
    for processor in processors:
        one, same, other = (processor.prepare(given(processor, seed)) for seed in (0, 0, 1))
        assert one.digest == same.digest != other.digest


def test_the_encoder_gives_as_many_rows_as_are_counted(
    processors: Collection[MediaProcessor], model: MediaLM
) -> None:
    for processor in processors:
        item = processor.prepare(given(processor, 0))
        arrays = {name: torch.as_tensor(array) for name, array in item.arrays.items()}
        with torch.inference_mode():
            *before, rows = model.encode(item.kind, arrays)
        assert rows is not None, "encode must yield the rows last"
        assert len(rows) == item.encoded
        if not item.cross:
            wide = model.cfg.hidden_size * (1 + model.levels)
            assert rows.shape[1] == wide, "set levels, see MediaLM"
        assert all(each is None for each in before), "only the last of what encode yields is rows"
        assert before, "encode must yield None at least once: running answers go on meanwhile"


def test_an_item_counts_and_company_does_not(
    processors: Collection[MediaProcessor], model: MediaLM
) -> None:
    first = next(iter(processors))
    for processor in processors:
        items = [processor.prepare(given(processor, seed)) for seed in (0, 1)]
        longest = max(item.rows for item in items) + len(OTHERS) + 4
        context = 2 * CONTEXT
        if longest > context and processor is not first:
            continue  # the sizes of a further kind may be the published ones
        assert longest <= context, f"an item of the example must leave room in {context} tokens"
        loaded = on_reference(model, context)
        options = EngineOptions(kv_tokens=8 * context)
        engine = Engine(loaded, plain_tokenizer(model.cfg.vocab_size), Registry([]), options)
        try:
            requests = [_request(item, first) for item in items]
            alone = [answers(engine, [request])[0] for request in requests]
            text = Request(prompt=OTHERS * 3, params=GREEDY)
            together = answers(engine, [*requests, text, *map(_again, requests)])
        finally:
            engine.close()
        assert alone[0].logprobs != alone[1].logprobs, "another item gives the same answer"
        for expected, found in zip([*alone, *alone], [*together[:2], *together[3:]], strict=True):
            assert found.tokens == expected.tokens
            np.testing.assert_allclose(found.logprobs, expected.logprobs, rtol=1e-4, atol=1e-4)


def test_text_before_an_item_does_not_see_it(
    processors: Collection[MediaProcessor], model: MediaLM
) -> None:
    """Else what is known of the text could not be kept, and an item would change it afterwards."""
    first, before, context = next(iter(processors)), 2, 2 * CONTEXT
    for processor in processors:
        items = [processor.prepare(given(processor, seed)) for seed in (0, 1)]
        if max(item.rows for item in items) + len(OTHERS) + 4 > context:
            continue  # as above
        loaded = on_reference(model, context)
        options = EngineOptions(kv_tokens=8 * context, prefix_cache=False)
        engine = Engine(loaded, plain_tokenizer(model.cfg.vocab_size), Registry([]), options)
        try:
            scored = [
                Request(prompt=asked.prompt, media=asked.media, prompt_logits=True,
                        params=SamplingParams(temperature=0, max_tokens=0))
                for asked in (_request(item, first) for item in items)
            ]  # fmt: skip
            one, other = (result.prompt_logits for result in results(engine, scored))
        finally:
            engine.close()
        assert one is not None
        assert other is not None
        rows = min(len(one), len(other))
        assert not np.array_equal(one[rows - 1], other[rows - 1]), "the last token sees no item"
        np.testing.assert_allclose(one[:before], other[:before], rtol=1e-5, atol=1e-5)


def _request(item: MediaItem, processor: MediaProcessor) -> Request:
    """processor: the first of the model, which speaks for all."""
    prompt = (*OTHERS[:2], *([ROW] * item.rows), *OTHERS[2:])
    media = Media(runs_of(prompt, ROW, [item]), processor.mutual)
    media = Media(media.runs, media.mutual, processor.positions(prompt, media))
    return Request(prompt=prompt, params=GREEDY, media=media)


def _again(request: Request) -> Request:
    return Request(prompt=request.prompt, params=request.params, media=request.media)
