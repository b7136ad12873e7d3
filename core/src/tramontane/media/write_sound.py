"""Samples to the bytes of a sound file, all at once or while they are made. Encoding is
soundfile's, resampling soxr's."""

from __future__ import annotations

import io
import struct
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tramontane.errors import RequestError

from .processor import Samples
from .sound import module_of

TYPES = MappingProxyType(
    {
        "wav": "audio/wav",
        "flac": "audio/flac",
        "mp3": "audio/mpeg",
        "opus": "audio/ogg",
        "pcm": "audio/pcm",
    }
)
"""Formats that are written, and their media types. pcm: samples alone, 16 bits each, the low byte
first. opus: in an Ogg file."""
LIBRARY = {"flac": ("FLAC", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS")}
"""What soundfile calls formats and subtypes."""
RATES = {"mp3": (32_000, 44_100, 48_000), "opus": (8_000, 12_000, 16_000, 24_000, 48_000)}
"""Samples a second that a format has; other sounds are resampled to the last."""
UNKNOWN = 0xFFFFFFFF
"""Bytes, where a WAV file's header does not say how many."""


class SoundWriter:
    """Encodes a sound of one channel. rate: samples a second of what it is given. to: of what it
    writes; None: the same, or what the format has. Raises RequestError for an unknown format, and
    where a library that it needs is not installed."""

    def __init__(self, kind: str, rate: int, to: int | None = None) -> None:
        if kind not in TYPES:
            raise RequestError(f"format {kind!r:.40} is not one of {', '.join(TYPES)}")
        self.kind = kind
        rates = RATES.get(kind, (rate,))
        self.rate = to or (rate if rate in rates else rates[-1])
        self._resampled: Any = None
        if self.rate != rate:
            soxr = module_of("soxr")
            self._resampled = soxr.ResampleStream(rate, self.rate, 1, "float32", quality="soxr_hq")
        self._buffer, self._taken = io.BytesIO(), 0
        self._file: Any = None
        if kind in LIBRARY:
            container, subtype = LIBRARY[kind]
            # without a steady rate, readers cannot tell the length of what is sent as it is made
            steady = {"bitrate_mode": "CONSTANT", "compression_level": 0.6} if kind == "mp3" else {}
            self._file = module_of("soundfile").SoundFile(
                self._buffer, "w", self.rate, 1, subtype, format=container, **steady
            )
        elif kind == "wav":
            self._buffer.write(wav_header(self.rate, None))

    def write(self, samples: Samples) -> bytes:
        """Bytes that are ready: of these samples, and of what came before."""
        self._put(samples, last=False)
        return self._fresh()

    def close(self) -> bytes:
        """What is left."""
        self._end()
        return self._fresh()

    def whole(self, samples: Samples) -> bytes:
        """A whole file, which says how long it is, of a writer that has written nothing."""
        self._put(samples, last=False)
        self._end()
        data = bytearray(self._buffer.getvalue())
        if self.kind == "wav":
            data[:44] = wav_header(self.rate, len(data) - 44)
        return bytes(data)

    def _put(self, samples: Samples, *, last: bool) -> None:
        if self._resampled is not None:
            samples = self._resampled.resample_chunk(samples, last=last)
        if self.kind in ("mp3", "opus"):
            if len(samples):
                self._file.write(np.clip(samples, -1, 1))
        elif self._file is not None:
            self._file.write(sixteen_bits(samples))
        else:
            self._buffer.write(sixteen_bits(samples).astype("<i2").tobytes())

    def _end(self) -> None:
        if self._resampled is not None:
            self._put(np.zeros(0, np.float32), last=True)
        if self._file is not None:
            self._file.close()

    def _fresh(self) -> bytes:
        with self._buffer.getbuffer() as written:
            data = bytes(written[self._taken :])
        self._taken += len(data)
        return data


def sixteen_bits(samples: Samples) -> npt.NDArray[np.int16]:
    """Samples within -1 and 1 as whole numbers of 16 bits."""
    return np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)


def wav_header(rate: int, size: int | None) -> bytes:
    """Of 16-bit samples of one channel. size: bytes of all samples; None: not known."""
    told = UNKNOWN if size is None else size
    whole = UNKNOWN if size is None else size + 36
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    return (
        b"RIFF" + struct.pack("<I", whole) + b"WAVEfmt " + form + b"data" + struct.pack("<I", told)
    )
