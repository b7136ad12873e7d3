"""Logits of prompts with images against transformers, from the same arrays on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tramontane import LLM
from tramontane.engine.request import Request
from tramontane.media.item import MediaItem
from tramontane.media.processor import with_media
from tramontane.sampling_params import SamplingParams

from .folders import FAMILIES, picture, write

GREEDY = SamplingParams(temperature=0, max_tokens=6, ignore_eos=True)
SIZES = ((70, 131), (97, 40), (33, 33))
MIXED = "A {0} and {0}, or {0}?"


def request(llm: LLM, text: str, items: list[MediaItem], **more: Any) -> Request:
    inner = llm.inner
    assert inner.media is not None
    prompt, media = with_media(text, items, inner.media, inner.tokenizer)
    return Request(prompt=prompt, media=media, **{"params": GREEDY, **more})


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("name", FAMILIES)
def test_logits_and_tokens(name: str, device: str, tmp_path: Path) -> None:
    vision = FAMILIES[name]
    theirs = write(tmp_path, vision)
    with LLM(tmp_path, device=device, dtype="f32", activations="f32", kv_type="f32") as llm:
        processor = llm.inner.media
        assert processor is not None
        items = [processor.prepare(picture(*size, seed)) for seed, size in enumerate(SIZES)]
        for count, text in ((1, "{0} what?"), (1, "is {0}"), (3, MIXED)):
            row = llm.inner.tokenizer.inner.token_to_id(vision.row)
            never = (row,) if row < llm.inner.loaded.config.vocab_size else ()
            greedy = GREEDY.model_copy(update={"suppress_tokens": never})
            asked = request(llm, text.format(vision.mark), items[:count], params=greedy)
            scored = Request(
                prompt=asked.prompt, media=asked.media, prompt_logits=True,
                params=SamplingParams(max_tokens=0, temperature=0),
            )  # fmt: skip
            (found,) = llm._results([scored])
            assert found.error is None
            expected, tokens = reference(theirs, vision, asked.prompt, items[:count])
            error = np.abs(found.prompt_logits - expected).max() / np.abs(expected).max()
            assert error < 1e-4, (text, error)
            (answer,) = llm._results([asked])
            assert answer.token_ids == tokens
            assert answer.usage.image_tokens == sum(item.rows for item in items[:count])


def reference(
    model: Any, vision: Any, prompt: tuple[int, ...], items: list[MediaItem]
) -> tuple[Any, tuple[int, ...]]:
    """transformers' logits of a prompt, and its next greedy tokens, each from the whole text."""
    row = model.config.image_token_id
    tokens: list[int] = []
    first = None
    while len(tokens) < 6:
        ids = torch.tensor([[*prompt, *tokens]])
        with torch.no_grad():
            out = model(input_ids=ids, **vision.inputs(items, ids, row)).logits[0]
        first = out.numpy().copy() if first is None else first
        out[-1, row : row + 1] = -torch.inf
        tokens.append(int(out[-1].argmax()))
    return first, tuple(tokens)
