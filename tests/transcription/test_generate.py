"""Whisper against transformers: logits, and the tokens and times of `generate`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import transformers
from tramontane import Transcriber
from tramontane.engine.request import Request
from tramontane.media.item import Media, Run
from tramontane.sampling_params import SamplingParams
from tramontane.tasks.answered import answered

from .checkpoints import extractor_settings, sound, write_whisper

EXACT: Any = {
    "dtype": "f32", "activations": "f32", "kv_type": "f32", "threads": 1, "device": "cpu",
}  # fmt: skip
WITHOUT: dict[str, Any] = {
    "compression_ratio_threshold": None, "logprob_threshold": None, "no_speech_threshold": None,
    "fallback": (),
}  # fmt: skip
SEEDS = range(12) if os.environ.get("TRAMONTANE_FULL") else (1, 2)


class Pair(NamedTuple):
    ours: Transcriber
    theirs: Any


@pytest.fixture(scope="module", params=SEEDS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("whisper")
    theirs = write_whisper(folder, request.param)
    with Transcriber(folder, **EXACT) as ours:
        yield Pair(ours, theirs)


def features(seconds: float, seed: int) -> Any:
    """As transformers has them: short sounds filled with silence, long ones whole."""
    extract = transformers.WhisperFeatureExtractor(**extractor_settings())
    more = {} if seconds <= 2 else {"truncation": False, "padding": "longest"}
    made = extract(sound(seconds, seed), sampling_rate=16_000, return_tensors="pt", **more)
    return made["input_features"]


def generated(pair: Pair, seconds: float, seed: int, **options: Any) -> list[Any]:
    given = {"task": "transcribe", "return_timestamps": True, **options}
    with torch.no_grad():
        found = pair.theirs.generate(features(seconds, seed), return_segments=True, **given)
    return [
        (tuple(each["tokens"].tolist()), float(each["start"]), float(each["end"]))
        for each in found["segments"][0]
    ]


def transcribed(pair: Pair, seconds: float, seed: int, **options: Any) -> list[Any]:
    found = pair.ours.transcribe((sound(seconds, seed), 16_000), **{**WITHOUT, **options})
    return [(each.tokens, each.start, each.end) for each in found.segments]


def spoken(pair: Pair, segments: list[Any]) -> list[Any]:
    """Those with a text."""
    first, decode = pair.ours.runner._special.first_timestamp, pair.ours.inner.tokenizer.decode
    return [each for each in segments if decode([t for t in each[0] if t < first]).strip()]


CASES: dict[str, tuple[float, dict[str, Any], dict[str, Any]]] = {
    "short": (2.0, {}, {}),
    "short, no timestamps": (2.0, {"timestamps": "none"}, {"return_timestamps": False}),
    "long": (4.7, {}, {}),
    "long, into English": (
        4.7, {"into": "english", "language": "german"}, {"task": "translate", "language": "de"},
    ),
    "long, with the text so far": (
        4.7, {"condition_on_previous": True}, {"condition_on_prev_tokens": True},
    ),
    "long, with a prompt": (4.7, {"prompt": "Mr. X"}, {"prompt_ids": " Mr. X"}),
    "long, with a prompt and the text so far": (
        4.7, {"prompt": "Mr. X", "condition_on_previous": True},
        {"prompt_ids": " Mr. X", "condition_on_prev_tokens": True},
    ),
    "long, some windows silent": (
        4.7, {"logprob_threshold": -2.9, "no_speech_threshold": 0.001},
        {"logprob_threshold": -2.9, "no_speech_threshold": 0.001, "temperature": (0.0,)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_tokens_and_times(case: str, pair: Pair) -> None:
    seconds, ours, theirs = CASES[case]
    if "prompt_ids" in theirs:
        ids = pair.ours.inner.tokenizer.encode(theirs["prompt_ids"], add_special=False)
        previous = pair.theirs.generation_config.prev_sot_token_id
        theirs = {**theirs, "prompt_ids": torch.tensor([previous, *ids])}
    expected = spoken(pair, generated(pair, seconds, 3, **theirs))
    assert transcribed(pair, seconds, 3, **ours) == expected
    assert expected or "silent" in case


def test_a_short_sound_ends_where_it_ends(pair: Pair) -> None:
    """transformers goes on into the silence that fills the window."""
    expected = spoken(pair, generated(pair, 1.3, 4))
    found = transcribed(pair, 1.3, 4)
    assert found == expected[: len(found)]
    assert found


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_logits(device: str, tmp_path: Path) -> None:
    theirs = write_whisper(tmp_path, 5, decoder_layers=2, encoder_layers=1)
    prompt = (257, 258, 261, 5, 9, 40, 80)
    with Transcriber(tmp_path, **EXACT | {"device": device}) as ours:
        model = ours.inner
        item = model.processors["audio"].prepare(sound(1.3))
        request = Request(
            prompt=prompt, media=Media((Run(0, 1, item),)), prompt_logits=True,
            params=SamplingParams(max_tokens=0, temperature=0),
        )  # fmt: skip
        work = answered(model.engine, request)
        try:
            while True:
                next(work)
        except StopIteration as end:
            found = end.value.prompt_logits
    with torch.no_grad():
        logits = theirs(features(1.3, 0), decoder_input_ids=torch.tensor([prompt])).logits[0]
    expected = logits.numpy()
    assert np.abs(found - expected).max() / np.abs(expected).max() < 1e-4


def test_a_model_of_english_alone(tmp_path: Path) -> None:
    theirs = write_whisper(tmp_path, 6, multilingual=False)
    with Transcriber(tmp_path, **EXACT) as ours:
        pair = Pair(ours, theirs)
        with torch.no_grad():
            made = theirs.generate(features(4.3, 1), return_segments=True, return_timestamps=True)
        expected = [tuple(each["tokens"].tolist()) for each in made["segments"][0]]
        found = ours.transcribe((sound(4.3, 1), 16_000), **WITHOUT)
        assert [each.tokens for each in found.segments] == [
            tokens for tokens, *_ in spoken(pair, [(each, 0, 0) for each in expected])
        ]
        assert found.language == "en"
        assert ours.runner.languages == ("en",)
        assert not ours.runner.translates
