"""How far a family's logits of prompts with media are from transformers', from the same arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tramontane import LLM
from tramontane.engine.request import Request
from tramontane.media.item import MediaItem
from tramontane.media.processor import with_media
from tramontane.sampling_params import SamplingParams

from .folders import Vision, picture, write

GREEDY = SamplingParams(temperature=0, max_tokens=6, ignore_eos=True)
SIZES = ((70, 131), (97, 40), (33, 33))
"""Heights and widths of the pictures."""
CASES = {
    "one, first": (1, "{0} what?"),
    "one, last": (1, "is {0}"),
    "three among words": (3, "A {0} and {0}, or {0}?"),
}
"""Numbers of pictures, and the prompts."""
DEVICES = ("reference", "cpu")


class Difference(NamedTuple):
    """The largest difference of logits, as a share of the largest, and whether the greedy tokens
    and the counts of usage are equal."""

    case: str
    device: str
    logits: float
    tokens: bool


def request(llm: LLM, text: str, items: list[MediaItem], **more: Any) -> Request:
    inner = llm.inner
    prompt, media = with_media(text, items, inner.processors, inner.tokenizer)
    own = inner.applied(None, media)
    return Request(prompt=prompt, media=media, adapters=own, **{"params": GREEDY, **more})


def pictures(llm: LLM, vision: Vision) -> list[MediaItem]:
    prepare = llm.inner.processors["image"].prepare
    return [prepare(picture(*size, seed)) for seed, size in enumerate(SIZES)]


def differences(
    vision: Vision,
    folder: Path,
    devices: Sequence[str] = DEVICES,
    three: Callable[[LLM, Any], list[MediaItem]] = pictures,
) -> Iterator[Difference]:
    """Of every case on every device. three: the items that prompts are about."""
    theirs = write(folder, vision)
    for device in devices:
        with LLM(folder, device=device, dtype="f32", activations="f32", kv_type="f32") as llm:
            items = three(llm, vision)
            row = llm.inner.tokenizer.inner.token_to_id(vision.row)
            never = (row,) if row < llm.inner.loaded.config.vocab_size else ()
            greedy = GREEDY.model_copy(update={"suppress_tokens": never})
            for case, (count, text) in CASES.items():
                asked = request(llm, text.format(vision.mark), items[:count], params=greedy)
                scored = Request(
                    prompt=asked.prompt, media=asked.media, adapters=asked.adapters,
                    prompt_logits=True,
                    params=SamplingParams(max_tokens=0, temperature=0),
                )  # fmt: skip
                (found,) = llm._results([scored])
                if found.error is not None:
                    raise RuntimeError(found.error)
                assert asked.media is not None
                placed = [run.item for run in asked.media.runs if not run.first]
                expected, tokens = reference(theirs, vision, asked.prompt, placed, row)
                error = np.abs(found.prompt_logits - expected).max() / np.abs(expected).max()
                (answer,) = llm._results([asked])
                rows = sum(item.rows for item in placed)
                counted = getattr(answer.usage, f"{items[0].kind}_tokens")
                same = answer.token_ids == tokens and counted == rows
                yield Difference(case, device, float(error), same)


def reference(
    model: Any, vision: Any, prompt: tuple[int, ...], items: list[MediaItem], row: int
) -> tuple[Any, tuple[int, ...]]:
    """transformers' logits of a prompt, and its next greedy tokens, each from the whole text. row:
    the id of media's rows, which is left out of these."""
    tokens: list[int] = []
    first = None
    while len(tokens) < 6:
        ids = torch.tensor([[*prompt, *tokens]])
        with torch.no_grad():
            out = model(input_ids=ids, **vision.inputs(items, ids, row)).logits[0]
        first = out.numpy().copy() if first is None else first
        out[-1, row : row + 1] = -torch.inf  # the head may not have it
        tokens.append(int(out[-1].argmax()))
    return first, tuple(tokens)
