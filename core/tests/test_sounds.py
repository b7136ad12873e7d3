"""Sounds as users have them: to samples of one channel; and what is none."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from tramontane.errors import RequestError
from tramontane.media import sound as reading
from tramontane.media.sound import samples_of
from transformers.audio_utils import load_audio

RATE = 16_000


def wave(seconds: float = 0.5, rate: int = RATE, channels: int = 1) -> Any:
    """(samples, channels), float32, of which each is louder than the one before."""
    t = np.arange(int(seconds * rate)) / rate
    one = 0.4 * np.sin(2 * np.pi * 440 * t + t * t)
    return np.stack([one * (1 + c) / channels for c in range(channels)], 1).astype(np.float32)


def stored(array: Any, rate: int = RATE, kind: str = "WAV", subtype: str = "FLOAT") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, array, rate, format=kind, subtype=subtype)
    return file.getvalue()


def loaded(data: bytes, rate: int = RATE) -> Any:
    """What transformers makes of a file, which says that it is what librosa does."""
    return load_audio(base64.b64encode(data).decode(), rate, backend="soundfile")


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_U8"), ("WAV", "ULAW"), ("WAV", "DOUBLE"),
     ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
     ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16")],
)  # fmt: skip
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (48_000, 2), (8_000, 1)])
def test_files_are_as_librosa_loads_them(kind: str, subtype: str, rate: int, channels: int) -> None:
    data = stored(wave(0.5, rate, channels), rate, kind, subtype)
    found = samples_of(data, "it", RATE)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, loaded(data))


def test_every_way_to_name_one(tmp_path: Path) -> None:
    array = wave()[:, 0]
    data = stored(array)
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    url = "data:audio/wav;base64," + base64.b64encode(data).decode()
    pair = {"array": array, "sampling_rate": RATE}
    tensor = torch.from_numpy(array)
    for way in (data, bytearray(data), path, str(path), url, (array, RATE), pair, (tensor, RATE)):
        np.testing.assert_array_equal(samples_of(way, "it", RATE), array)


@pytest.mark.parametrize("kind", ["WAV", "OGG", "MP3"])
def test_blocks_have_the_bits_of_the_whole(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    subtype = {"WAV": "FLOAT", "OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}[kind]
    data = stored(wave(0.7, 44_100, 9 if kind == "WAV" else 2), 44_100, kind, subtype)
    monkeypatch.setattr(reading, "BLOCK", 997)
    np.testing.assert_array_equal(samples_of(data, "it", RATE), loaded(data))


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int8, np.uint8, np.float64, np.float16])
@pytest.mark.parametrize("channels", [0, 1, 2])
@pytest.mark.parametrize("first", [False, True])
def test_arrays(kind: type, channels: int, first: bool) -> None:
    floats = wave(0.01, RATE, max(channels, 1)).astype(np.float64)
    array = floats[:, 0] if not channels else floats.T if first else floats
    if np.issubdtype(kind, np.integer):
        half = 2.0 ** (8 * np.dtype(kind).itemsize - 1)
        array = np.rint(array * (half - 1) + (half if kind is np.uint8 else 0))
    found = samples_of((array.astype(kind), RATE), "it", RATE)
    np.testing.assert_allclose(
        found, floats.mean(1), atol=2e-2 if np.dtype(kind).itemsize < 2 else 1e-3
    )


def test_an_array_at_another_rate_is_resampled() -> None:
    data = stored(wave(0.3, 44_100), 44_100)
    array = wave(0.3, 44_100)[:, 0]
    np.testing.assert_array_equal(samples_of((array, 44_100), "it", RATE), loaded(data))


def test_silence_stays_silence() -> None:
    assert not samples_of(stored(np.zeros(800), 8000), "it", RATE).any()


def streamed(kind: str, seconds: float = 0.5) -> bytes:
    """A file without its length, as one that was written to a pipe."""
    data = bytearray(stored(wave(seconds), RATE, kind, "PCM_16"))
    if kind == "WAV":
        place = data.index(b"data")
        data[4:8] = data[place + 4 : place + 8] = b"\xff" * 4
    else:
        data[21] &= 0xF0
        data[22:26] = bytes(4)
    return bytes(data)


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_a_file_without_its_length(kind: str) -> None:
    expected = loaded(stored(wave(), RATE, kind, "PCM_16"))
    np.testing.assert_array_equal(samples_of(streamed(kind), "it", RATE), expected)


def test_a_long_file_without_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_SECONDS", 1)
    monkeypatch.setattr(reading, "BLOCK", 1000)
    with pytest.raises(RequestError, match="more than 1: cut it"):
        samples_of(streamed("FLAC", 1.5), "it", RATE)


def str_of(value: object) -> str:
    """A test's name: files have the time of their writing in them, and are not the same twice."""
    return value[:40] if isinstance(value, str) else type(value).__name__


WAV, FLAC = (stored(wave(), RATE, kind, "PCM_16") for kind in ("WAV", "FLAC"))


@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (b"", "it is no sound of a known format (WAV, FLAC, OGG, MP3, AIFF)"),
        (b"some text", "no sound of a known format"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "no sound of a known format"),
        (stored(wave(), RATE, "AU", "PCM_16"), "(WAV, FLAC, OGG, MP3, AIFF): it is AU"),
        (WAV[:30], "it is a damaged sound: "),
        (WAV[:5000], f"it is a damaged sound: it has 4956 of {len(WAV) - 44} bytes that it says"),
        (FLAC[: len(FLAC) // 2], "it is a damaged sound: "),
        (FLAC[:60] + bytes(200) + FLAC[260:], "it is a damaged sound: "),
        (stored(np.zeros(0), RATE), "it is an empty sound"),
        (stored(np.zeros((9, 40)), RATE), "it has 40 channels, more than 32"),
        (stored(np.zeros(9), 500), "it has 500 samples a second: resample it to 1000 to 768000"),
        (stored(np.array([0, np.nan]), RATE), "samples that are no finite numbers"),
        ((np.zeros(3), 0), "it has 0 samples a second"),
        ((np.zeros(3), None), "sampling_rate should be a whole number, not None"),
        ((np.zeros(3), 0.5), "sampling_rate should be a whole number, not 0.5"),
        ((np.zeros(3), float("nan")), "sampling_rate should be a whole number, not nan"),
        (({"a": 1}, RATE), "an array should be (samples) or"),
        ((np.zeros((2, 3, 4)), RATE), "of floats or whole numbers, not float64 (2, 3, 4)"),
        ((np.zeros(3, np.int64), RATE), "not int64 (3,)"),
        ((np.zeros(3, complex), RATE), "not complex128 (3,)"),
        ((np.zeros((40, 50)), RATE), "it has 40 channels"),
        (([[1.0], [1.0, 2.0]], RATE), "cannot be made an array"),
        ((np.zeros(0), RATE), "it is an empty sound"),
        (np.zeros(3), "an array needs its samples a second"),
        (3, "a sound is a path, bytes, a data: URL or (array, rate), not int"),
        ("data:audio/wav,abc", "is no data: URL in base64"),
        ("/no/such/file.wav", "cannot read /no/such/file.wav"),
    ],
    ids=str_of,
)  # fmt: skip
def test_what_is_none_is_refused(sound: Any, said: str) -> None:
    with pytest.raises(RequestError) as raised:
        samples_of(sound, "it", RATE)
    assert said in str(raised.value)


def test_limits_are_known_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    hour = bytearray(stored(np.zeros(80_000), 2000, "FLAC", "PCM_S8"))
    hour[22:26] = (3600 * 2000).to_bytes(4, "big")
    with pytest.raises(RequestError, match="3600 seconds long, more than 1800: cut it"):
        samples_of(bytes(hour), "it", RATE)
    monkeypatch.setattr(reading, "MOST_FRAMES", 7999)
    with pytest.raises(RequestError, match="has 8000 samples, more than 7999"):
        samples_of(WAV, "it", RATE)
    monkeypatch.setattr(reading, "MOST_BYTES", 1 << 10)
    with pytest.raises(RequestError, match="more than 0 MiB"):
        samples_of(WAV, "it", RATE)


def test_half_an_mp3_is_heard_as_far_as_it_goes() -> None:
    long = stored(wave(3), RATE, "MP3", "MPEG_LAYER_III")
    found = samples_of(long[: len(long) // 2], "it", RATE)
    assert RATE < len(found) < 2 * RATE


@pytest.mark.parametrize("name", ["soundfile", "soxr"])
def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(RequestError, match="pip install soundfile soxr"):
        samples_of(WAV, "it", RATE)
