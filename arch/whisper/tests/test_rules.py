"""What may come next, segments, and the measures of a window, against transformers' functions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tramontane.sampling.step import Candidates, History
from tramontane_arch_whisper.rules import TranscriptStep
from tramontane_arch_whisper.segments import Clock, compression_ratio, context_of, pieces_of
from tramontane_arch_whisper.special import SpecialTokens
from transformers import WhisperForConditionalGeneration
from transformers.generation.logits_process import (
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
    WhisperTimeStampLogitsProcessor,
)
from transformers.models.whisper.generation_whisper import _pad_to_max_length

VOCABULARY, END, NO_STAMPS = 60, 20, 29
FIRST = NO_STAMPS + 1
SPECIAL = SpecialTokens(
    start=21, end=END, languages={"en": 22, "de": 23}, tasks={"transcribe": 25, "translate": 24},
    no_timestamps=NO_STAMPS, previous=27, no_speech=28, suppressed=(3, 5),
    suppressed_first=(1, END), latest_first=12,
)  # fmt: skip
CLOCK = Clock(FIRST, 0.02, 0.01, 2)
THEIRS: Any = WhisperForConditionalGeneration


def written_at_random(random: np.random.Generator, most: int = 12) -> list[int]:
    count = int(random.integers(0, most))
    text = random.integers(0, END, count)
    stamps = random.integers(FIRST, VOCABULARY, count)
    return [int(each) for each in np.where(random.random(count) < 0.45, np.sort(stamps), text)]


def processed(prompt: list[int], written: list[int], logits: Any, *, stamps: bool) -> Any:
    config: Any = SimpleNamespace(
        no_timestamps_token_id=NO_STAMPS, eos_token_id=END, bos_token_id=END,
        max_initial_timestamp_index=SPECIAL.latest_first,
    )  # fmt: skip
    begin = len(prompt)
    steps: list[Any] = [
        SuppressTokensAtBeginLogitsProcessor(list(SPECIAL.suppressed_first), begin),
        SuppressTokensLogitsProcessor(list(SPECIAL.suppressed)),
    ]
    if stamps:
        steps.append(WhisperTimeStampLogitsProcessor(config, begin))
    ids, scores = torch.tensor([[*prompt, *written]]), torch.tensor(logits)[None]
    for step in steps:
        scores = step(ids, scores)
    return scores[0].numpy()


@pytest.mark.parametrize("stamps", [True, False])
def test_what_may_come_next(stamps: bool) -> None:
    random = np.random.default_rng(3)
    opening = [22, 25] if stamps else [22, 25, NO_STAMPS]
    for case in range(400):
        written = written_at_random(random) if case % 8 else []
        logits = random.normal(0, 3, VOCABULARY).astype(np.float32)
        step = TranscriptStep(SPECIAL, opening, stamps=stamps)
        found = step(Candidates.of(logits), History([SPECIAL.start], [*opening, *written]))
        expected = processed([SPECIAL.start, *opening], written, logits, stamps=stamps)
        np.testing.assert_array_equal(found.logits, expected)


def test_the_opening_is_forced_behind_the_language() -> None:
    random = np.random.default_rng(4)
    logits = random.normal(0, 3, VOCABULARY).astype(np.float32)
    logits[23], logits[22], logits[40] = 1, 0, 99
    step = TranscriptStep(SPECIAL, [None, 25, NO_STAMPS], stamps=False)
    assert step.forced(History([21], [])) == ()
    assert step(Candidates.of(logits), History([21], [])).ids.tolist() == [23]
    assert step.opening == [23, 25, NO_STAMPS]
    assert step.forced(History([21], [23])) == [25, NO_STAMPS]
    assert step(Candidates.of(logits), History([21], [23])).ids.tolist() == [25]
    shares = torch.tensor(logits).softmax(-1)
    assert step.no_speech == pytest.approx(float(shares[SPECIAL.no_speech]), rel=1e-5)


def test_the_mean_of_log_probabilities() -> None:
    random = np.random.default_rng(5)
    step = TranscriptStep(SPECIAL, [22], stamps=True)
    written: list[int] = []
    scores = []
    while len(written) < 9:
        logits = random.normal(0, 3, VOCABULARY).astype(np.float32)
        left = step(Candidates.of(logits), History([21], [22, *written])).logits
        scores.append(torch.tensor(left)[None])
        written.append(int(random.choice(np.flatnonzero(np.isfinite(left)))))
    told = [each[0] for each in scores]
    expected = THEIRS._retrieve_avg_logprobs(told, torch.tensor(written), 0.0)
    assert step.mean_logprob(written) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("vocabulary", [60, 255, 256, 51_865, 65_536])
def test_compression(vocabulary: int) -> None:
    random = np.random.default_rng(6)
    for count in (1, 7, 200):
        tokens = random.integers(0, min(vocabulary, 9), count)
        expected = THEIRS._retrieve_compression_ratio(torch.tensor(tokens), vocabulary)
        assert compression_ratio(tokens.tolist(), vocabulary) == expected


def test_segments_and_where_the_next_window_begins() -> None:
    random = np.random.default_rng(7)
    for case in range(600):
        tokens = [FIRST + case % 5, *written_at_random(random, 20)]
        frames, place = int(random.integers(1, 60)), int(random.integers(0, 500))
        expected, offset = THEIRS._retrieve_segment(
            seek_sequence=torch.tensor(tokens), seek_outputs=[None],
            time_offset=torch.tensor([place], dtype=torch.float64) * 0.02 / 2,
            timestamp_begin=FIRST, seek_num_frames=torch.tensor([frames]), time_precision=0.02,
            time_precision_features=0.01, input_stride=2, prev_idx=0, idx=0,
            return_token_timestamps=False, decoder_input_ids=torch.zeros(1, 3),
        )  # fmt: skip
        found, further = pieces_of(tokens, CLOCK, place * 0.02 / 2, frames)
        assert further == int(offset)
        assert [each.tokens for each in found] == [tuple(e["tokens"].tolist()) for e in expected]
        times = [(float(each["start"]), float(each["end"])) for each in expected]
        assert [(each.start, each.end) for each in found] == times


def test_the_text_so_far() -> None:
    random = np.random.default_rng(8)
    for _ in range(100):
        pieces = [[FIRST, *written_at_random(random, 9)] for _ in range(3)]
        given = [{"tokens": torch.tensor(each)} for each in pieces]
        expected = _pad_to_max_length(
            [given], 0, device="cpu", padding_side="left", cut_off_length=11,
            bos_token_tensor=torch.tensor([27]), skip_ending_double_timestamps=True,
            timestamp_begin=FIRST,
        )  # fmt: skip
        assert [27, *context_of(pieces, FIRST, 11)] == expected[0].tolist()
