"""Spectrograms have the bits of transformers' feature extractors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import transformers
from tramontane.media.spectrogram import LogMel, Mel, filters
from transformers.audio_utils import mel_filter_bank


@pytest.mark.parametrize(
    "mel",
    [Mel(80, 16_000, 400, 0, 8000, "slaney", True), Mel(128, 16_000, 512, 0, 8000, "slaney", True),
     Mel(128, 16_000, 1024, 125, 7600, "htk"), Mel(13, 8_000, 256, 1200, 4000, "slaney"),
     Mel(80, 16_000, 512, 0, 7690, "kaldi"), Mel(23, 8_000, 256, 40, 3900, "kaldi")],
)  # fmt: skip
def test_filters(mel: Mel) -> None:
    expected = mel_filter_bank(
        mel.fft // 2 + 1, mel.bands, mel.low, mel.high, mel.rate, "slaney" if mel.even else None,
        mel.scale, mel.scale == "kaldi",
    )  # fmt: skip
    np.testing.assert_array_equal(filters(mel), expected)


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("kind", ["noise", "tone", "silence", "one"])
def test_log_mel(bands: int, kind: str) -> None:
    t = np.arange(7 * 16_000)
    samples = {
        "noise": np.random.default_rng(0).normal(0, 0.1, len(t)),
        "tone": np.sin(t * t / 1e6),
        "silence": np.zeros(len(t)),
        "one": (t == 900) * 1.0,
    }[kind].astype(np.float32)
    extract = transformers.WhisperFeatureExtractor(feature_size=bands)
    made = extract(samples, sampling_rate=16_000, padding="longest", return_tensors="np")
    found = LogMel.of({}, bands, 3000)(samples)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, made["input_features"][0])


@pytest.mark.parametrize(
    ("told", "said"),
    [({"feature_size": 80}, "feature_size 80 is not supported, only 128"),
     ({"dither": 0.1}, "dither 0.1"), ({"padding_value": 1.0}, "padding_value 1.0"),
     ({"chunk_length": 10}, "chunk_length 10 does not fit an encoder of 3000 frames")],
)  # fmt: skip
def test_settings_that_do_not_fit(told: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LogMel.of(told, 128, 3000)
