"""Sounds as users have them, to samples. Decoding is soundfile's, resampling soxr's."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tramontane.errors import RequestError

from .bounds import MOST_BYTES, data_of
from .files import file_bytes
from .options import MediaOptions
from .processor import MediaProcessor, Samples

MOST_SECONDS = 1800
MOST_FRAMES = 1 << 27
"""Samples of one channel, 134 million: half an hour at 74 kHz."""
MOST_CHANNELS = 32
RATES = range(1_000, 768_001)
"""Samples a second that are resampled."""
FORMATS = ("WAV", "FLAC", "OGG", "MP3", "AIFF")
READ = {*FORMATS, "WAVEX", "RF64"}
"""What soundfile calls the formats that are read."""
INSTALL = "sounds need soundfile and soxr, which are not installed: pip install soundfile soxr"
BLOCK = 1 << 20
"""Samples of each channel that are decoded at once."""
STREAMED = 0x7FFF0000
"""Bytes of a WAV file's samples that say: unknown, it was written to a pipe; and any above."""


def decoded(sound: Any, where: str, processor: MediaProcessor, options: MediaOptions) -> Samples:
    """What a processor of sounds takes."""
    return samples_of(sound, where, processor.rate)


def samples_of(sound: Any, where: str, rate: int) -> Samples:
    """A sound as float32 at `rate` samples a second, several channels averaged: the numbers that
    librosa's `load` and transformers' `load_audio` give for a file.

    sound: bytes of a file, a path, a data: URL, or (array, its samples a second), also as
    {"array": ..., "sampling_rate": ...}. array: (samples), (samples, channels) or (channels,
    samples), floats within -1 and 1 or whole numbers of the whole range of their type. where: how
    errors call it.

    Raises RequestError for what is none, is damaged, or is too long.
    """
    if isinstance(sound, Mapping) and "array" in sound:
        sound = (sound["array"], sound.get("sampling_rate"))
    if isinstance(sound, tuple) and len(sound) == 2:
        return _resampled(*_array(*sound, where), rate)
    if isinstance(sound, str) and sound.startswith("data:"):
        sound = data_of(sound, where)
    if isinstance(sound, str | Path):
        sound = file_bytes(Path(sound), where)
    if isinstance(sound, bytes | bytearray | memoryview):
        return _resampled(*_decoded(bytes(sound), where), rate)
    if hasattr(sound, "__array__"):
        raise RequestError(
            f"{where}: an array needs its samples a second: give sampling_rate too, or "
            "(array, rate)"
        )
    raise RequestError(
        f"{where}: a sound is a path, bytes, a data: URL or (array, rate), not "
        f"{type(sound).__name__}"
    )


def _array(array: Any, rate: Any, where: str) -> tuple[Samples, int]:
    """An array in one channel of float32, and its rate."""
    if not isinstance(rate, int | float | np.number) or not float(rate).is_integer():
        raise RequestError(f"{where}: sampling_rate should be a whole number, not {rate!r:.40}")
    try:
        values = np.asarray(array)
    except (TypeError, ValueError) as error:
        raise RequestError(f"{where} cannot be made an array: {error}") from error
    whole = values.dtype.kind in "iu" and values.dtype.itemsize <= 4
    if (not whole and values.dtype.kind != "f") or values.ndim not in (1, 2):
        raise RequestError(
            f"{where}: an array should be (samples) or (samples, channels) of floats or whole "
            f"numbers, not {values.dtype} {values.shape}"
        )
    if values.ndim == 2 and values.shape[0] < values.shape[1]:
        values = values.T
    channels = 1 if values.ndim == 1 else values.shape[1]
    _check(len(values), int(rate), channels, where)
    if whole:
        half = 2.0 ** (8 * values.dtype.itemsize - 1)
        values = (values / half - (values.dtype.kind == "u")).astype(np.float32)
    return _mono(values.astype(np.float32, copy=False).reshape(len(values), -1), where), int(rate)


def _decoded(data: bytes, where: str) -> tuple[Samples, int]:
    soundfile = module_of("soundfile")
    module_of("soxr")  # before the work
    if len(data) > MOST_BYTES:
        raise RequestError(f"{where}: the sound has more than {MOST_BYTES >> 20} MiB; reduce it")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.format not in READ:
                raise RequestError(_unknown(where, f"it is {file.format}"))
            unknown = file.frames >= 1 << 62  # a FLAC file that was written to a pipe
            count = 1 if unknown else file.frames
            _check(count, file.samplerate, file.channels, where)
            most = MOST_SECONDS * file.samplerate + 1 if unknown else count
            file.seekable = lambda: False  # it would seek behind each block: other samples of MP3s
            parts, read = [], 0
            while read < most:
                block = file.read(min(BLOCK, most - read), "float32", always_2d=True)
                if not len(block):
                    break
                parts.append(_mono(block, where))
                read += len(block)
            _check(read, file.samplerate, file.channels, where)
            if file.format == "FLAC" and not unknown and read < count:
                raise RequestError(_cut(where, f"{read} of {count} samples"))
            rate = int(file.samplerate)
    except soundfile.LibsndfileError as error:
        said = str(error.error_string).strip().rstrip(".")
        if "not recognised" in said or "regular file" in said:
            raise RequestError(_unknown(where, "its beginning is none of theirs")) from error
        raise RequestError(f"{where} is a damaged sound: {said}") from error
    has, says = _wav_bytes(data)
    if has < says:
        raise RequestError(_cut(where, f"{has} of {says} bytes"))
    return np.concatenate(parts), rate


def _wav_bytes(data: bytes) -> tuple[int, int]:
    """Bytes of samples that a WAV file has, and that it says it has; zeros for other files."""
    place = 12
    while data[:4] == b"RIFF" and place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        place += 8
        if name == b"data":
            return (0, 0) if size >= STREAMED else (len(data) - place, size)
        place += size + size % 2
    return 0, 0


def _check(frames: int, rate: int, channels: int, where: str) -> None:
    if not frames:
        raise RequestError(f"{where} is an empty sound: it has no samples")
    if rate not in RATES:
        raise RequestError(
            f"{where} has {rate} samples a second: resample it to {RATES[0]} to {RATES[-1]}"
        )
    if channels > MOST_CHANNELS:
        raise RequestError(f"{where} has {channels} channels, more than {MOST_CHANNELS}: mix it")
    if frames > MOST_SECONDS * rate:
        raise RequestError(
            f"{where} is {frames / rate:.0f} seconds long, more than {MOST_SECONDS}: cut it"
        )
    if frames > MOST_FRAMES:
        raise RequestError(
            f"{where} has {frames} samples, more than {MOST_FRAMES}: resample it to 48000 a second"
        )


def _mono(block: npt.NDArray[np.float32], where: str) -> Samples:
    """(samples, channels) -> (samples)."""
    channels = block.T
    one = channels.mean(axis=0) if len(channels) > 1 else channels[0]
    if not np.isfinite(one).all():
        raise RequestError(f"{where} has samples that are no finite numbers")
    return np.asarray(one, np.float32)


def _resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    if rate == wanted:
        return np.ascontiguousarray(samples)
    count = math.ceil(len(samples) * wanted / rate)
    made = module_of("soxr").resample(samples, rate, wanted, quality="soxr_hq")
    made = np.pad(made, (0, max(0, count - len(made))))[:count]
    return np.ascontiguousarray(made, np.float32)


def _unknown(where: str, why: str) -> str:
    return f"{where} is no sound of a known format ({', '.join(FORMATS)}): {why}"


def _cut(where: str, what: str) -> str:
    return f"{where} is a damaged sound: it has {what} that it says, so its end is missing"


def module_of(name: str) -> Any:
    """A library for sounds. Raises RequestError where it is not installed."""
    try:
        return import_module(name)
    except (ImportError, OSError) as error:  # a library that soundfile loads may be missing
        raise RequestError(INSTALL) from error
