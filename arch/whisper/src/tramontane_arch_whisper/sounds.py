"""Sounds as Whisper's encoder takes them: spectrograms of thirty seconds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Samples, settings_of
from tramontane.media.spectrogram import Floats32, LogMel

from .config import WhisperConfig


class WhisperSounds(MediaProcessor):
    """A sound of one window, which a prompt's first token stands for: all tokens attend to it."""

    kind = "audio"
    mark = row = "<|startoftranscript|>"

    def __init__(self, cfg: WhisperConfig, files: Mapping[str, Any]) -> None:
        audio = cfg.audio_config
        told = settings_of(files, "feature_extractor")
        self.features = LogMel.of(told, audio.num_mel_bins, audio.frames)
        self.rate = self.features.mel.rate
        self.frames, self.rows = audio.frames, audio.max_source_positions

    @property
    def samples(self) -> int:
        """Of a window."""
        return self.frames * self.features.hop

    def prepare(self, samples: Samples) -> MediaItem:
        if len(samples) > self.samples:
            raise ValueError(
                f"the sound is {len(samples) / self.rate:.0f} seconds long, and the model hears "
                f"{self.samples / self.rate:g} at once: transcribe it instead"
            )
        return self.window(self.spectrogram(samples))

    def spectrogram(self, samples: Samples) -> Floats32:
        """(samples) -> (bands, frames), of a window at least: what is shorter ends with silence."""
        return self.features(np.pad(samples, (0, max(0, self.samples - len(samples)))))

    def window(self, features: Floats32) -> MediaItem:
        """(bands, up to `frames`), filled up with zeros."""
        whole = np.pad(features, ((0, 0), (0, self.frames - features.shape[1])))
        return MediaItem("audio", {"features": whole}, rows=1, cross=self.rows)
