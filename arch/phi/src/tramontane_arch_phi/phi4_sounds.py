"""How Phi-4-multimodal's sounds are prepared: as a spectrogram of frames of 25 ms, 10 ms apart, in
bands that are even on Kaldi's mel scale."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Samples, settings_of
from tramontane.media.spectrogram import Mel, filters

from .phi4_config import SoundsConfig

LOUD = 32768
"""What samples are multiplied with."""
DEFAULTS: Mapping[str, Any] = {
    "sampling_rate": 16_000, "hop_length": 160, "n_fft": 512, "win_length": 400,
    "preemphasis": 0.97, "mel_min_frequency": 0, "mel_max_frequency": 7690,
}  # fmt: skip


class Spectrogram:
    """Logarithms of powers in bands, those below 1 as 1: (samples) -> (frames, bands). In torch,
    with the bits of transformers' `Phi4MultimodalFeatureExtractor`."""

    def __init__(self, told: Mapping[str, Any], bands: int) -> None:
        own = {name: told.get(name, value) for name, value in DEFAULTS.items()}
        self.rate, self.hop = int(own["sampling_rate"]), int(own["hop_length"])
        self.fft, self.frame = int(own["n_fft"]), int(own["win_length"])
        self.before = own["preemphasis"]
        low, high = own["mel_min_frequency"], own["mel_max_frequency"]
        found = filters(Mel(bands, self.rate, self.fft, low, high, "kaldi"))
        self.bands = torch.from_numpy(found.astype(np.float32))

    def __call__(self, samples: Samples) -> npt.NDArray[np.float32]:
        window = torch.hamming_window(self.frame, periodic=False, dtype=torch.float64)
        whole = torch.from_numpy(np.array(samples, np.float32))
        frames = whole.unfold(-1, self.frame, self.hop)
        before = torch.roll(frames, 1, dims=-1)
        before[:, 0] = before[:, 1]
        frames = (frames - self.before * before) * LOUD
        sizes = torch.fft.rfft(window * frames, n=self.fft, dim=1).to(torch.complex64).abs()
        logs = torch.log(torch.clamp((sizes**2)[None] @ self.bands, min=1.0))
        return np.asarray(logs[0].numpy())


class Phi4Sounds(MediaProcessor):
    """An item has `features` (frames, bands), and `images` in a prompt that has some."""

    kind = "audio"
    mark, row, spare_rows = "<|audio|>", "<|endoftext11|>", ("<|audio|>",)

    def __init__(self, audio: SoundsConfig, files: Mapping[str, Any]) -> None:
        nested = "audio_processor" if "audio_processor" in files else "feature_extractor"
        told = {
            name: value for name, value in settings_of(files, nested).items() if value is not None
        }
        for name, default, wanted in (
            ("feature_size", 80, audio.input_size),
            ("audio_compression_rate", 8, audio.time_reduction),
            ("audio_downsample_rate", 1, 1),
            ("audio_feat_stride", 1, 1),
        ):
            if (said := told.get(name, default if files else wanted)) != wanted:
                raise ValueError(f"{name} {said} is not the model's, {wanted}")
        self.spectrogram = Spectrogram(told, audio.input_size)
        self.rate, self.frames = self.spectrogram.rate, audio.time_reduction

    def prepare(self, samples: Samples) -> MediaItem:
        if len(samples) < self.spectrogram.frame:
            raise ValueError(
                f"a sound of {len(samples)} samples is too short to be heard: this model takes at "
                f"least {self.spectrogram.frame}, at {self.rate} a second"
            )
        features = self.spectrogram(samples)
        return MediaItem("audio", {"features": features}, math.ceil(len(features) / self.frames))
