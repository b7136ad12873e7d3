"""What every family that takes images must do, built from its example with random weights."""

from __future__ import annotations

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
from tramontane.media.processor import MediaProcessor
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry
from tramontane.sampling_params import SamplingParams
from tramontane.testing.engine_runs import CONTEXT, answers, on_reference, plain_tokenizer
from tramontane.testing.random_model import random_model

ROW, OTHERS = 1, (2, 3, 4, 5)
"""Ids in the prompts: of an image's rows, and of text."""
GREEDY = SamplingParams(temperature=0, max_tokens=4, logprobs=True)


@pytest.fixture
def processor(offer: Architecture) -> MediaProcessor:
    """Of the example, without a checkpoint's files."""
    made: MediaProcessor = load(offer.media or "")(
        read_config(load(offer.config), offer.example), {}
    )
    return made


@pytest.fixture
def model(offer: Architecture) -> MediaLM:
    found = random_model(offer)
    assert isinstance(found, MediaLM), "model= must name a subclass of MediaLM, as media= is given"
    return found


def picture(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (40, 30, 3), np.uint8)


def test_what_is_written_has_a_token_for_each_row(processor: MediaProcessor) -> None:
    item = processor.prepare(picture(0))
    assert item.rows > 0
    assert processor.written(item).count(processor.row) == item.rows
    assert processor.mark
    assert isinstance(processor.mutual, bool)


def test_preparing_again_gives_the_same(processor: MediaProcessor) -> None:
    one, same, other = (processor.prepare(picture(seed)) for seed in (0, 0, 1))
    assert one.digest == same.digest != other.digest


def test_the_encoder_gives_as_many_rows_as_are_counted(
    offer: Architecture, processor: MediaProcessor, model: MediaLM
) -> None:
    item = processor.prepare(picture(0))
    arrays = {name: torch.as_tensor(array) for name, array in item.arrays.items()}
    with torch.inference_mode():
        *before, rows = model.encode(item.kind, arrays)
    assert rows is not None, "encode must yield the rows last"
    assert len(rows) == item.rows
    assert rows.shape[1] == model.cfg.hidden_size * (1 + model.levels), "set levels, see MediaLM"
    assert all(each is None for each in before), "only the last of what encode yields is rows"
    assert before, "encode must yield None at least once, so that running answers go on meanwhile"


def test_an_image_counts_and_company_does_not(
    offer: Architecture, processor: MediaProcessor, model: MediaLM
) -> None:
    items = [processor.prepare(picture(seed)) for seed in (0, 1)]
    longest = max(item.rows for item in items) + len(OTHERS) + 4
    assert longest <= CONTEXT, f"an image of the example must leave room in {CONTEXT} tokens"
    loaded = on_reference(model)
    options = EngineOptions(kv_tokens=8 * CONTEXT)
    engine = Engine(loaded, plain_tokenizer(model.cfg.vocab_size), Registry([]), options)
    try:
        requests = [_request(item, processor) for item in items]
        alone = [answers(engine, [request])[0] for request in requests]
        text = Request(prompt=OTHERS * 3, params=GREEDY)
        together = answers(engine, [*requests, text, *map(_again, requests)])
    finally:
        engine.close()
    assert alone[0].logprobs != alone[1].logprobs, "another image gives the same answer"
    for expected, found in zip([*alone, *alone], [*together[:2], *together[3:]], strict=True):
        assert found.tokens == expected.tokens
        np.testing.assert_allclose(found.logprobs, expected.logprobs, rtol=1e-4, atol=1e-4)


def _request(item: MediaItem, processor: MediaProcessor) -> Request:
    prompt = (*OTHERS[:2], *([ROW] * item.rows), *OTHERS[2:])
    media = Media(runs_of(prompt, ROW, [item]), processor.mutual)
    media = Media(media.runs, media.mutual, processor.positions(prompt, media))
    return Request(prompt=prompt, params=GREEDY, media=media)


def _again(request: Request) -> Request:
    return Request(prompt=request.prompt, params=request.params, media=request.media)
