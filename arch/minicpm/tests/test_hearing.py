"""Sounds for MiniCPM-o: their lengths, their places beside images, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_minicpm.hearing import MiniCpmOmniConfig, OmniSlices
from tramontane_arch_minicpm.plugin import HEARING, SEEING, TINY

OMNI = {**TINY, **SEEING, **HEARING, "model_type": "minicpmo"}
FILES = {"patch_size": 16, "image_feature_size": 4, "feature_size": 20, "chunk_length": 2}


def processor(**more: Any) -> OmniSlices:
    return OmniSlices(read_config(MiniCpmOmniConfig, OMNI | more), FILES | {"use_image_id": True})


@pytest.mark.parametrize(
    ("samples", "frames", "rows"),
    [(321, [3], 1), (16_000, [100], 25), (32_000, [200], 50), (32_100, [200], 50),
     (40_001, [200, 51], 63)],
)  # fmt: skip
def test_pieces_are_as_long_as_they_are(samples: int, frames: list[int], rows: int) -> None:
    sounds = processor().beside[0]
    item = sounds.prepare(np.zeros(samples, np.float32))
    assert item.arrays["frames"].tolist() == frames
    assert item.arrays["features"].shape == (20, sum(frames))
    assert item.rows == rows
    assert sounds.written(item) == f"<|audio_start|>{'<unk>' * rows}<|audio_end|>"


def test_images_are_numbered_and_sounds_are_not() -> None:
    eyes = processor()
    image = eyes.written(eyes.prepare(np.zeros((40, 40, 3), np.uint8)))
    sound = eyes.beside[0].written(eyes.beside[0].prepare(np.zeros(321, np.float32)))
    text = eyes.assembled(["a", "b", "c", "d"], [image, sound, image])
    assert text == f"a<image_id>0</image_id>{image}b{sound}c<image_id>1</image_id>{image}d"


@pytest.mark.parametrize("samples", [0, 1, 320])
def test_a_sound_that_is_too_short(samples: int) -> None:
    with pytest.raises(ValueError, match=f"{samples} samples is too short .* at least 321"):
        processor().beside[0].prepare(np.zeros(samples, np.float32))


@pytest.mark.parametrize(
    "change",
    [{"init_audio": False}, {"audio_pool_step": 0}, {"audio_chunk_length": -2},
     {"audio_config": {"d_model": 30, "encoder_attention_heads": 4}}, {"version": "4.5"}],
)  # fmt: skip
def test_configurations_that_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        read_config(MiniCpmOmniConfig, OMNI | change)


def test_missing_keys_of_the_encoder_are_whispers() -> None:
    told = {"d_model": 1024, "encoder_attention_heads": 16, "num_hidden_layers": 24}
    audio = read_config(MiniCpmOmniConfig, OMNI | {"audio_config": told}).audio_config
    assert (audio.hidden_size, audio.num_hidden_layers, audio.num_mel_bins) == (1024, 24, 80)
    assert audio.frames == 3000
