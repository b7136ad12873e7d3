"""Llama 3.2 Vision beyond what every family that sees is tested for: which tokens see which image,
memory for one image at a time, and tokens that the head does not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tramontane import LLM
from tramontane.engine.request import Request
from tramontane.media.item import MediaItem
from tramontane.sampling_params import SamplingParams

from .compared import reference, request
from .folders import picture, write
from .tiled import TILED

VISION = TILED["mllama"]
GREEDY = SamplingParams(temperature=0, max_tokens=16, ignore_eos=True, logprobs=True)
NOTHING = SamplingParams(temperature=0, max_tokens=0)
EXACT = {"dtype": "f32", "activations": "f32", "kv_type": "f32"}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("mllama")
    return folder, write(folder, VISION)


def items_of(llm: LLM, count: int) -> list[MediaItem]:
    sizes = ((1, 1), (200, 9), (60, 61), (28, 57))
    return [llm.inner.processors["image"].prepare(picture(*sizes[n], n)) for n in range(count)]


def error(found: Any, expected: Any) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("text", ["{0}{0} what?", "so {0}{0}{0} and {0}, or?", "Well, {0}"])
@pytest.mark.parametrize("batch_size", [1, 3, 512])
def test_images_side_by_side_are_seen_together(
    case: tuple[Path, Any], text: str, batch_size: int
) -> None:
    folder, theirs = case
    with LLM(folder, batch_size=batch_size, **EXACT) as llm:
        items = items_of(llm, text.count("{0}"))
        asked = request(llm, text.format(VISION.mark), items, params=NOTHING, prompt_logits=True)
        (found,) = llm._results([asked])
        expected, _ = reference(theirs, VISION, asked.prompt, items, theirs.config.image_token_id)
        assert error(found.prompt_logits, expected) < 1e-4


def test_sixteen_tokens(case: tuple[Path, Any]) -> None:
    folder, theirs = case
    with LLM(folder, **EXACT) as llm:
        items = items_of(llm, 2)
        asked = request(llm, f"one {VISION.mark} other {VISION.mark} which?", items, params=GREEDY)
        (answer,) = llm._results([asked])
        row = theirs.config.image_token_id
        ids = [*asked.prompt, *answer.token_ids]
        with torch.no_grad():
            told = torch.tensor([ids])
            logits = theirs(input_ids=told, **VISION.inputs(items, told, row)).logits[0]
        assert tuple(logits.argmax(-1)[len(asked.prompt) - 1 : -1].tolist()) == answer.token_ids


def test_transformers_as_it_is_where_nothing_stands_before_the_first_image(
    case: tuple[Path, Any],
) -> None:
    folder, _ = case
    theirs = transformers.MllamaForConditionalGeneration.from_pretrained(folder).eval()
    row = theirs.config.image_token_id
    with LLM(folder, **EXACT) as llm:
        for text, count in (("{0} what?", 1), ("{0}{0} a {0}", 3), ("text alone", 0)):
            items = items_of(llm, count)
            asked = request(
                llm, text.format(VISION.mark), items, params=NOTHING, prompt_logits=True
            )
            ids = torch.tensor([asked.prompt])
            more = VISION.inputs(items, ids, row) if items else {}
            with torch.no_grad():
                expected = theirs(input_ids=ids, **more).logits[0].numpy()
            (found,) = llm._results([asked])
            assert error(found.prompt_logits, expected) < 1e-4, text


def test_memory_for_one_image_serves_them_in_turn(case: tuple[Path, Any]) -> None:
    folder, _ = case
    texts = ("{0}", "a {0}{0} b {0}", "no image", "{0} c {0}", "{0}{0} d")

    def asked(llm: LLM) -> list[Request]:
        items = items_of(llm, 4)
        return [
            request(llm, text.format(VISION.mark), items[4 - text.count("{0}") :], params=GREEDY)
            for text in texts
        ]

    with LLM(folder, prefix_cache=False) as llm:
        alone = [llm._results([one])[0] for one in asked(llm)]
    with LLM(folder, media_cache=1, batch_size=4) as llm:
        together = llm._results([*asked(llm), *asked(llm)])
    for found, expected in zip(together, [*alone, *alone], strict=True):
        assert found.error is None
        assert found.token_ids == expected.token_ids
        assert found.logprobs == expected.logprobs


def test_a_token_that_the_head_has_not_may_be_penalized_and_scored(
    case: tuple[Path, Any],
) -> None:
    folder, _ = case
    with LLM(folder) as llm:
        items = items_of(llm, 1)
        more = {"repetition_penalty": 1.3, "presence_penalty": 0.5, "dry_multiplier": 0.8}
        params = SamplingParams(max_tokens=4, ignore_eos=True, **more)
        asked = request(llm, f"a {VISION.mark} b", items, params=params, score_prompt=True)
        assert max(asked.prompt) >= llm.inner.loaded.config.vocab_size
        (answer,) = llm._results([asked])
        assert answer.error is None
        assert len(answer.token_ids) == 4
        assert answer.prompt_logprobs is not None
        assert min(one.logprob for one in answer.prompt_logprobs) == -9999.0


@pytest.mark.parametrize("kv_type", ["int8", "int4", "bf16", "f8e4m3"])
def test_other_types_of_keys(case: tuple[Path, Any], kv_type: str) -> None:
    folder, theirs = case
    with LLM(folder, **EXACT | {"kv_type": kv_type}) as llm:
        items = items_of(llm, 1)
        asked = request(llm, f"a {VISION.mark} b", items, params=NOTHING, prompt_logits=True)
        (found,) = llm._results([asked])
        expected, _ = reference(theirs, VISION, asked.prompt, items, theirs.config.image_token_id)
        assert error(found.prompt_logits, expected) < 0.2
