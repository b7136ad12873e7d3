"""Qwen2-Audio's configuration, and what its processor counts and refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tramontane.config import read_config
from tramontane_arch_qwen.audio import Qwen2AudioConfig, Qwen2AudioSounds

TEXT = {
    "vocab_size": 156_032, "hidden_size": 4096, "intermediate_size": 11_008,
    "num_hidden_layers": 32, "num_attention_heads": 32, "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
}  # fmt: skip
PUBLISHED = {  # of Qwen2-Audio-7B-Instruct
    "activation_dropout": 0.0, "activation_function": "gelu", "attention_dropout": 0.0,
    "d_model": 1280, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120,
    "encoder_layerdrop": 0.0, "encoder_layers": 32, "init_std": 0.02,
    "max_source_positions": 1500, "model_type": "qwen2_audio_encoder", "num_hidden_layers": 32,
    "num_mel_bins": 128, "scale_embedding": False,
}  # fmt: skip


def sounds(files: dict[str, Any]) -> Qwen2AudioSounds:
    return Qwen2AudioSounds(read_config(Qwen2AudioConfig, TEXT), files)


def test_whispers_names_and_newer_ones_are_the_same() -> None:
    short = read_config(Qwen2AudioConfig, TEXT)
    assert read_config(Qwen2AudioConfig, TEXT | {"audio_config": PUBLISHED}) == short


@pytest.mark.parametrize(
    ("samples", "rows"),
    [(321, 1), (16_000, 25), (16_001, 25), (16_640, 26), (480_000, 750), (999_999, 750)],
)
def test_rows_of_a_sound(samples: int, rows: int) -> None:
    assert sounds({}).prepare(np.zeros(samples, np.float32)).rows == rows


def test_too_short_a_sound_is_refused() -> None:
    with pytest.raises(ValueError, match=r"320 samples is too short .* at least 321, at 16000"):
        sounds({}).prepare(np.zeros(320, np.float32))


@pytest.mark.parametrize("nested", [False, True])
def test_settings_that_do_not_fit_the_encoder(nested: bool) -> None:
    told = {"feature_size": 80}
    with pytest.raises(ValueError, match="feature_size 80 is not supported, only 128"):
        sounds({"feature_extractor": told} if nested else told)
