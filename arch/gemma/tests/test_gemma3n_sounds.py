"""Gemma 3n's sounds: what is counted, refused, and read as text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_gemma.gemma3n_media import Gemma3nMediaConfig, processor
from tramontane_arch_gemma.gemma3n_sounds import Spectrogram
from tramontane_arch_gemma.plugin import BY_TOKEN, SHARED, SOUNDS, SPARSE, TINY

CONFIG = TINY | SHARED | BY_TOKEN | SPARSE | SOUNDS


def sounds(**files: Any) -> Any:
    found = processor(read_config(Gemma3nMediaConfig, CONFIG), files)
    assert found is not None
    return found


@pytest.mark.parametrize("samples", [513, 16_000])
def test_rows_are_the_same_for_any_length(samples: int) -> None:
    given = sounds()
    item = given.prepare(np.zeros(samples, np.float32))
    assert item.rows == 10
    assert given.written(item) == "\n\n<start_of_audio>" + "<audio_soft_token>" * 10 + "\n\n"


def test_all_but_the_first_half_minute_is_left_out() -> None:
    big = CONFIG | {"audio_soft_tokens_per_image": 188}
    given = processor(read_config(Gemma3nMediaConfig, big), {})
    assert given is not None
    item = given.prepare(np.zeros(500_000, np.float32))
    assert item.arrays["features"].shape == (2997, 16)


@pytest.mark.parametrize(
    ("samples", "said"),
    [(384, "384 samples is too short to be heard: this model takes at least 513"),
     (48_000, "297 frames has 19 rows, more than audio_soft_tokens_per_image 9")],
)  # fmt: skip
def test_lengths_that_are_refused(samples: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sounds().prepare(np.zeros(samples, np.float32))


@pytest.mark.parametrize(
    ("told", "said"),
    [({"dither": 0.1}, "dither 0.1 is not supported, only 0.0"),
     ({"feature_size": 128}, "feature_size 128 is not supported, only 16"),
     ({"preemphasis_htk_flavor": False}, "preemphasis_htk_flavor False")],
)  # fmt: skip
def test_settings_that_are_refused(told: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Spectrogram(told, 16)


@pytest.mark.parametrize(
    ("audio", "said"),
    [({"vocab_offset": 30}, "audio_config has tokens 30 to 33"),
     ({"conf_num_attention_heads": 3}, "hidden_size 16 is no even multiple")],
)  # fmt: skip
def test_configurations_that_are_refused(audio: dict[str, Any], said: str) -> None:
    told = CONFIG | {"audio_config": SOUNDS["audio_config"] | audio}  # type: ignore[operator]
    with pytest.raises(ConfigError, match=said):
        read_config(Gemma3nMediaConfig, told)


def test_without_an_encoder_it_takes_text() -> None:
    config = read_config(Gemma3nMediaConfig, CONFIG | {"audio_config": None})
    assert processor(config, {}) is None
