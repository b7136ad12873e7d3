"""How Gemma 3n's sounds are prepared: a spectrogram, whose conformer's rows are 188 of every sound,
and the vector of the token that ends one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Samples, settings_of
from tramontane.media.spectrogram import Mel, filters

from .gemma3n_subsample import ConformerConfig

MOST = 480_000
"""Samples of a sound that are heard."""
MULTIPLE = 128
"""A sound is padded to so many samples, or a multiple."""


class Spectrogram:
    """Logarithms of the sizes of frequencies in bands: (samples) -> (frames, bands). In numpy, with
    the bits of transformers' `Gemma3nAudioFeatureExtractor`."""

    DEFAULTS: Mapping[str, Any] = {
        "frame_length_ms": 32.0, "hop_length_ms": 10.0, "min_frequency": 125.0,
        "max_frequency": 7600.0, "preemphasis": 0.97, "mel_floor": 1e-5, "sampling_rate": 16_000,
    }  # fmt: skip
    FIXED: Mapping[str, Any] = {
        "preemphasis_htk_flavor": True, "dither": 0.0, "input_scale_factor": 1.0,
        "padding_value": 0.0, "per_bin_mean": None, "per_bin_stddev": None,
    }  # fmt: skip

    def __init__(self, told: Mapping[str, Any], bands: int) -> None:
        """Raises ValueError for settings that are not supported."""
        for name, fits in {**self.FIXED, "feature_size": bands}.items():
            if told.get(name, fits) != fits:
                raise ValueError(f"{name} {told[name]} is not supported, only {fits}")
        own = {name: told.get(name, value) for name, value in self.DEFAULTS.items()}
        self.rate = int(own["sampling_rate"])
        self.frame = round(self.rate * own["frame_length_ms"] / 1000.0)
        self.hop = round(self.rate * own["hop_length_ms"] / 1000.0)
        self.before, self.floor = own["preemphasis"], np.float64(own["mel_floor"])
        size = 1 << (self.frame - 1).bit_length()
        self.fft = size * 2 if told.get("fft_overdrive", True) else size
        places = np.arange(self.frame, dtype=np.float32)
        window = 0.5 * (1 - np.cos(2 * np.pi * places / self.frame))
        self.window = window.astype(np.float32)
        low, high = own["min_frequency"], own["max_frequency"]
        self.bands = filters(Mel(bands, self.rate, self.fft, low, high, "htk"))

    def __call__(self, samples: Samples) -> npt.NDArray[np.float32]:
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.frame + 1)[:: self.hop]
        first = frames[:, :1] * (1.0 - self.before)
        rest = frames[:, 1:-1] - self.before * frames[:, :-2]
        whole = np.concatenate([first, rest], axis=-1) * self.window
        sizes = np.abs(np.fft.rfft(whole, n=self.fft, axis=-1))
        logs = np.log(np.maximum(np.matmul(sizes, self.bands), self.floor))
        return np.asarray(logs, np.float32)


class SoundsOf3n(MediaProcessor):
    """A sound's first 30 seconds. The last of its rows is the token's that ends it, so that all
    that the language model's vocabulary lacks is the encoder's."""

    kind = "audio"
    mark = row = "<audio_soft_token>"

    def __init__(self, audio: ConformerConfig, tokens: int, files: Mapping[str, Any]) -> None:
        self.spectrogram = Spectrogram(
            settings_of(files, "feature_extractor"), audio.input_feat_size
        )
        self.rate, self.rows = self.spectrogram.rate, tokens
        self.count = audio.rows

    def prepare(self, samples: Samples) -> MediaItem:
        heard = samples[:MOST]
        padded = np.pad(heard, (0, -len(heard) % MULTIPLE))
        least = self.spectrogram.frame + 1
        if len(padded) < least:
            raise ValueError(
                f"a sound of {len(samples)} samples is too short to be heard: this model takes at "
                f"least {least}, at {self.rate} a second"
            )
        features = self.spectrogram(padded)
        if self.count(len(features)) > self.rows:
            raise ValueError(
                f"a sound of {len(features)} frames has {self.count(len(features))} rows, more "
                f"than audio_soft_tokens_per_image {self.rows}"
            )
        return MediaItem("audio", {"features": features}, self.rows + 1)

    def written(self, item: MediaItem) -> str:
        return f"\n\n<start_of_audio>{self.row * item.rows}\n\n"
