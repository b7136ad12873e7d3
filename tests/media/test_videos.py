"""Prompts with videos against transformers, from the same arrays on, alone and beside images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tramontane import LLM
from tramontane.engine.request import Request
from tramontane.media.decode import prepared
from tramontane.media.item import MediaItem
from tramontane.media.processor import Given, with_media
from tramontane.sampling_params import SamplingParams

from .folders import FAMILIES, Vision, picture, write
from .test_invariance import bits
from .watching import moving

GREEDY = SamplingParams(temperature=0, max_tokens=6, ignore_eos=True)
VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"
NAMES = [name for name in FAMILIES if name.startswith("qwen")]


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("name", NAMES)
def test_logits_and_tokens(name: str, device: str, tmp_path: Path) -> None:
    vision = FAMILIES[name]
    theirs = write(tmp_path, vision)
    with LLM(tmp_path, device=device, dtype="f32", activations="f32", kv_type="f32") as llm:
        kinds, tokenizer = llm.inner.processors, llm.inner.tokenizer
        short, odd = (
            prepared(Given(moving(count, *size, count), rate), "v", kinds["video"])
            for count, size, rate in ((2, (40, 70), 1.5), (5, (70, 33), 2.0))
        )
        image = kinds["image"].prepare(picture(50, 31))
        for items, text in (
            ([short], f"{VIDEO} what?"),
            ([odd], f"is {VIDEO}"),
            ([odd, image, short], f"A {VIDEO} and {vision.mark}, {VIDEO} or"),
        ):
            prompt, media = with_media(text, items, kinds, tokenizer)
            scored = Request(
                prompt=prompt, media=media, prompt_logits=True,
                params=SamplingParams(max_tokens=0, temperature=0),
            )  # fmt: skip
            (found,) = llm._results([scored])
            assert found.error is None
            expected = reference(theirs, prompt, items)
            error = np.abs(found.prompt_logits - expected).max() / np.abs(expected).max()
            assert error < 1e-4, (text, error)
            rows = theirs.config.image_token_id, theirs.config.video_token_id
            greedy = GREEDY.model_copy(update={"suppress_tokens": rows})
            (answer,) = llm._results([Request(prompt=prompt, media=media, params=greedy)])
            tokens: list[int] = []
            while len(tokens) < 6:
                logits = reference(theirs, (*prompt, *tokens), items)[-1]
                logits[list(rows)] = -np.inf
                tokens.append(int(logits.argmax()))
            assert answer.token_ids == tuple(tokens)
            videos = [item for item in items if item.kind == "video"]
            assert answer.usage.video_tokens == sum(item.rows for item in videos)


def reference(model: Any, prompt: tuple[int, ...], items: list[MediaItem]) -> Any:
    ids = torch.tensor([prompt])
    config = model.config
    more: dict[str, Any] = {
        "mm_token_type_ids": (ids == config.image_token_id).int()
        + 2 * (ids == config.video_token_id).int()
    }
    for kind, values, grids in (
        ("image", "pixel_values", "image_grid_thw"),
        ("video", "pixel_values_videos", "video_grid_thw"),
    ):
        arrays = [item.arrays for item in items if item.kind == kind]
        if arrays:
            more[values] = torch.cat([torch.from_numpy(each["patches"]) for each in arrays])
            sizes = [each["grid"].tolist() for each in arrays]
            more[grids] = torch.tensor([[1, *size][-3:] for size in sizes])
        if kind == "video" and "interval" in arrays[0]:
            per_second = config.vision_config.tokens_per_second
            more["second_per_grid_ts"] = [float(each["interval"]) / per_second for each in arrays]
    with torch.no_grad():
        return model(input_ids=ids, **more).logits[0].numpy().copy()


@pytest.mark.parametrize("name", ["qwen2.5-vl-odd-windows", "qwen3-vl"])
def test_the_same_bits_in_any_company(name: str, tmp_path: Path) -> None:
    vision = FAMILIES[name]
    write(tmp_path, vision)
    params = SamplingParams(temperature=0, max_tokens=12, ignore_eos=True, logprobs=True)

    def asked(llm: LLM) -> list[Request]:
        kinds = llm.inner.processors
        clip = prepared(Given(moving(5, 40, 60), 2.0), "v", kinds["video"])
        other = prepared(Given(moving(5, 40, 60), 1.0), "v", kinds["video"])  # slower
        image = kinds["image"].prepare(picture(50, 31))
        texts = (
            (f"Here {VIDEO} is what I saw", [clip]),
            (f"Here {VIDEO} is what I saw", [other]),
            (f"{vision.mark} and {VIDEO}", [image, clip]),
        )
        found = []
        for text, items in texts:
            prompt, media = with_media(text, items, kinds, llm.inner.tokenizer)
            found.append(Request(prompt=prompt, media=media, params=params))
        return found

    with LLM(tmp_path, prefix_cache=False) as llm:
        expected = [bits(llm._results([one])[0]) for one in asked(llm)]
    assert expected[0] != expected[1]
    for options in ({}, {"batch_size": 5}, {"kv_tokens": 256}, {"media_cache": 1}):
        with LLM(tmp_path, **options) as llm:  # type: ignore[arg-type]
            for _ in range(2):
                requests = [*asked(llm), *asked(llm)]
                assert [bits(one) for one in llm._results(requests)] == [*expected, *expected]


def frames(vision: Vision, tmp_path: Path, settings: dict[str, Any], file: str) -> Any:
    """The offered frames and times of a video of 49 frames, 10 a second."""
    write(tmp_path, vision)
    (tmp_path / file).write_text(json.dumps(settings))
    with LLM(tmp_path, device="reference") as llm:
        item = prepared(Given(moving(49, 40, 30), 10.0), "v", llm.inner.processors["video"])
    return item.arrays


SIZE = {"size": {"shortest_edge": 4 * 28**2, "longest_edge": 16 * 28**2}}


@pytest.mark.parametrize(
    ("name", "settings", "times"),
    [
        ("qwen2-vl", SIZE, 25),
        ("qwen2-vl", SIZE | {"do_sample_frames": True, "fps": 2}, 4),
        ("qwen2.5-vl", SIZE | {"do_sample_frames": True, "num_frames": 6}, 3),
        ("qwen3-vl", SIZE, 5),
        ("qwen3-vl", SIZE | {"fps": 3, "max_frames": 8}, 4),
        ("qwen3-vl", SIZE | {"fps": None, "num_frames": 5}, 3),
    ],
)
@pytest.mark.parametrize("file", ["video_preprocessor_config.json", "processor_config.json"])
def test_settings_of_checkpoints(
    name: str, settings: dict[str, Any], times: int, file: str, tmp_path: Path
) -> None:
    if file == "processor_config.json":
        settings = {"video_processor": settings}
    assert frames(FAMILIES[name], tmp_path, settings, file)["grid"][0] == times
