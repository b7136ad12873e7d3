"""Spectrograms on the mel scale: what an encoder of sounds is given of samples.

Frames of `window` samples, `hop` apart, each times a window function; the size of their Fourier
transform at each frequency; sums of these over bands that are evenly spaced on the mel scale. The
filters are numpy's in float64, in the order of sums of transformers' `mel_filter_bank`, so their
bits are its; so are those of `log_mel`, which torch computes as its `WhisperFeatureExtractor` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from .processor import Samples

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Scale = Literal["htk", "slaney", "kaldi"]
"""Bands on Kaldi's are triangles in mels, on the others in Hz."""
SLANEY_STEP = 27.0 / np.log(6.4)
"""Mels of a factor of e above 1000 Hz, which are 15 mels (Slaney 1998)."""


class Mel(NamedTuple):
    """Bands of frequencies. rate: samples a second. fft: samples of a Fourier transform. low, high:
    Hz. even: each band divided by its width."""

    bands: int
    rate: int
    fft: int
    low: float
    high: float
    scale: Scale
    even: bool = False


@lru_cache(maxsize=8)
def filters(mel: Mel) -> Floats:
    """(fft / 2 + 1 frequencies, bands): triangles, each from the middle of the band before to the
    middle of the next."""
    low, high = to_mel(np.array([mel.low, mel.high]), mel.scale)
    edges = np.linspace(low, high, mel.bands + 2)
    if mel.scale == "kaldi":
        places = np.arange(mel.fft // 2 + 1, dtype=np.float64)
        frequencies = to_mel(np.asarray(mel.rate / mel.fft * places, np.float64), mel.scale)
    else:
        edges = to_hertz(edges, mel.scale)
        frequencies = np.linspace(0, mel.rate // 2, mel.fft // 2 + 1)
    width = np.diff(edges)
    slopes = edges[None] - frequencies[:, None]
    down, up = -slopes[:, :-2] / width[:-1], slopes[:, 2:] / width[1:]
    found = np.maximum(np.zeros(1), np.minimum(down, up))
    if mel.even:
        found *= (2.0 / (edges[2:] - edges[:-2]))[None]
    found.setflags(write=False)
    return found


def to_mel(hertz: Floats, scale: Scale) -> Floats:
    """Of each frequency, its place on the mel scale."""
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + hertz / 700.0))
    if scale == "kaldi":
        return np.asarray(1127.0 * np.log(1.0 + hertz / 700.0))
    mels = 3.0 * hertz / 200.0
    above = hertz >= 1000.0
    mels[above] = 15.0 + np.log(hertz[above] / 1000.0) * SLANEY_STEP
    return np.asarray(mels)


def to_hertz(mels: Floats, scale: Scale) -> Floats:
    """The inverse of `to_mel`."""
    if scale == "htk":
        return np.asarray(700.0 * (np.power(10, mels / 2595.0) - 1.0))
    if scale == "kaldi":
        return np.asarray(700.0 * (np.exp(mels / 1127.0) - 1.0))
    hertz = 200.0 * mels / 3.0
    above = mels >= 15.0
    hertz[above] = 1000.0 * np.exp(np.log(6.4) / 27.0 * (mels[above] - 15.0))
    return np.asarray(hertz)


def log_mel(samples: Samples, mel: Mel, hop: int) -> Floats32:
    """Whisper's features (Radford et al. 2022): (samples) -> (bands, samples // hop), of frames
    around every `hop`-th sample; what is 8 powers of ten below the loudest is as loud as that."""
    window = torch.hann_window(mel.fft)
    waves = torch.from_numpy(np.array(samples, np.float32))[None]
    found = torch.stft(waves, mel.fft, hop, window=window, return_complex=True)
    powers = (found[..., :-1].abs() ** 2).contiguous()
    bands = torch.from_numpy(filters(mel).astype(np.float32))
    logs = torch.clamp(bands.T @ powers, min=1e-10).log10()
    logs = torch.maximum(logs, logs.amax() - 8.0)
    return np.asarray(((logs + 4.0) / 4.0)[0].numpy())


class LogMel(NamedTuple):
    """`log_mel` with the settings of a checkpoint."""

    mel: Mel
    hop: int

    @classmethod
    def of(cls, told: Mapping[str, Any], bands: int, frames: int) -> LogMel:
        """As a checkpoint's files have them; what they do not say is as Whisper has it. bands,
        frames: that the encoder takes. Raises ValueError for settings that do not fit it."""
        rate, fft = int(told.get("sampling_rate", 16_000)), int(told.get("n_fft", 400))
        found = cls(
            Mel(bands, rate, fft, 0.0, 8000.0, "slaney", even=True),
            int(told.get("hop_length", 160)),
        )
        for name, fits in (("feature_size", bands), ("dither", 0), ("padding_value", 0)):
            if told.get(name, fits) != fits:
                raise ValueError(f"{name} {told[name]} is not supported, only {fits}")
        seconds = told.get("chunk_length")
        if seconds is not None and int(seconds * rate) // found.hop != frames:
            raise ValueError(
                f"chunk_length {seconds} does not fit an encoder of {frames} frames of "
                f"{found.hop} / {rate} seconds"
            )
        return found

    def __call__(self, samples: Samples) -> Floats32:
        """(samples) -> (bands, samples // hop)."""
        return log_mel(samples, self.mel, self.hop)
