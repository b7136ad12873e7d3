"""Samples as files, against soundfile's reading of them."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
import soundfile
from tramontane.errors import RequestError
from tramontane.media.write_sound import TYPES, SoundWriter, sixteen_bits

RATE = 44_100
TONE = (np.sin(np.arange(RATE) / 20) * 0.5).astype(np.float32)


def in_parts(kind: str, to: int | None = None) -> bytes:
    writer = SoundWriter(kind, RATE, to)
    return b"".join([*(writer.write(part) for part in np.array_split(TONE, 7)), writer.close()])


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_samples_are_kept_in_sixteen_bits(kind: str) -> None:
    expected = sixteen_bits(TONE)
    for data in (SoundWriter(kind, RATE).whole(TONE), in_parts(kind)):
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            file.seekable = lambda: False  # a FLAC file of unknown length cannot be sought in
            found = file.read(2 * RATE, dtype="int16")
            assert file.samplerate == RATE
        assert np.array_equal(found, expected)
    assert np.abs(expected / 32767 - TONE).max() < 1 / 65_000


def test_a_whole_wav_says_how_long_it_is() -> None:
    with wave.open(io.BytesIO(SoundWriter("wav", RATE).whole(TONE))) as file:
        assert (file.getnframes(), file.getsampwidth(), file.getnchannels()) == (len(TONE), 2, 1)
    empty = SoundWriter("wav", RATE).whole(TONE[:0])
    assert len(empty) == 44


@pytest.mark.parametrize(("kind", "rate"), [("mp3", RATE), ("opus", 48_000)])
def test_what_loses_a_little(kind: str, rate: int) -> None:
    for data in (SoundWriter(kind, RATE).whole(TONE), in_parts(kind)):
        found, told = soundfile.read(io.BytesIO(data), dtype="float32")
        assert told == rate
        assert abs(len(found) / rate - 1) < 0.09
        power = np.sqrt(np.mean(found[rate // 4 : rate // 2] ** 2))
        assert abs(power - 0.5 / np.sqrt(2)) < 0.02


def test_parts_come_before_the_end() -> None:
    for kind in TYPES:
        writer = SoundWriter(kind, RATE)
        first = writer.write(np.tile(TONE, 2))
        assert len(first) > 44
        assert writer.write(TONE) + writer.close()


def test_other_rates() -> None:
    data = in_parts("pcm", 24_000)
    samples = np.frombuffer(data, "<i2")
    assert abs(len(samples) - 24_000) < 50
    assert data == SoundWriter("pcm", RATE, 24_000).whole(TONE)
    assert in_parts("pcm") == sixteen_bits(TONE).tobytes()


def test_an_unknown_format() -> None:
    with pytest.raises(RequestError, match=r"format 'aac' is not one of wav, flac, mp3, opus"):
        SoundWriter("aac", RATE)
