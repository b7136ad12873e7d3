"""Transcripts as users get them: Python, the command line, and what cannot be."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tramontane import LLM, AsyncTranscriber, Transcriber, load
from tramontane.cli.main import main
from tramontane.errors import ConfigError, RequestError
from tramontane.tasks.queue import Progress
from tramontane.tasks.subtitles import written
from tramontane.tasks.transcribe import Segment, Transcript

from .checkpoints import sound, write_whisper

ONE: Any = {"threads": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("whisper") / "model"
    write_whisper(found, 1, plain=True)
    return found


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[Transcriber]:
    with Transcriber(folder, **ONE) as found:
        yield found


def file_of(samples: Any, rate: int = 16_000, kind: str = "WAV") -> bytes:
    made = io.BytesIO()
    soundfile.write(made, samples, rate, format=kind)
    return made.getvalue()


def test_segments_come_before_the_transcript(model: Transcriber) -> None:
    parts = list(model.stream((sound(3.3, 1), 16_000), fallback=()))
    (whole,) = [each for each in parts if isinstance(each, Transcript)]
    assert parts[-1] is whole
    assert tuple(each for each in parts if isinstance(each, Segment)) == whole.segments
    assert parts[-2] == Progress(3, 3, "seconds")
    assert whole.text == "".join(each.text for each in whole.segments).strip()
    assert whole.duration == pytest.approx(3.3)
    assert whole == model.transcribe((sound(3.3, 1), 16_000), fallback=())


def test_the_same_bits_whatever_else_runs(model: Transcriber) -> None:
    alone = model.transcribe((sound(1.9, 1), 16_000), fallback=(0.7,))
    found: list[Any] = [None] * 3

    def run(place: int) -> None:
        found[place] = model.transcribe((sound(1.9, place), 16_000), fallback=(0.7,))

    threads = [threading.Thread(target=run, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[1] == alone
    assert found[0] != alone


def test_files_of_any_rate_and_channels(model: Transcriber, tmp_path: Path) -> None:
    wave = sound(1.5, 2)
    stereo = file_of(np.stack([wave, wave], -1))
    whole = model.transcribe((wave, 16_000), fallback=())
    near = model.transcribe(stereo, fallback=())
    assert [each.tokens for each in near.segments] == [each.tokens for each in whole.segments]
    (tmp_path / "a.flac").write_bytes(file_of(wave, 44_100, "FLAC"))
    assert model.transcribe(tmp_path / "a.flac", fallback=()).duration == pytest.approx(
        0.54, abs=0.01
    )


def test_silence_is_left_out_where_it_is_likely(model: Transcriber) -> None:
    silence = (np.zeros(16_000, np.float32), 16_000)
    found = model.transcribe(silence, logprob_threshold=0, no_speech_threshold=0)
    short = (np.zeros(3, np.float32), 16_000)
    assert (found.text, found.segments) == ("", ())
    assert model.transcribe(short, fallback=()).duration == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        (b"RIFF", {}, "no sound of a known format"),
        (file_of(sound(0.2))[:900], {}, "its end is missing"),
        ((np.zeros(0), 16_000), {}, "is an empty sound"),
        ((np.zeros(9), 16_000), {"language": "xx"}, "no language 'xx'; it knows de, en, zh"),
        ((np.zeros(9), 16_000), {"timestamps": "word"}, "times of words are not found"),
        ((np.zeros(9), 16_000), {"temperature": 3}, "temperature should be a number from 0 to 2"),
        ((np.zeros(9), 16_000), {"fallback": [9]}, "fallback should be a list of up to 16 numbers"),
        ((np.zeros(9), 16_000), {"into": "french"}, "into should be"),
        ((np.zeros(16_000 * 1801), 16_000), {}, "1801 seconds long, more than 1800"),
    ],
)
def test_what_cannot_be(given: Any, options: dict[str, Any], said: str, model: Transcriber) -> None:
    with pytest.raises(RequestError, match=said):
        model.transcribe(given, **options)


def test_a_model_of_another_task_names_the_right_one(folder: Path) -> None:
    with pytest.raises(RequestError, match="writes down speech, and is no model that writes text"):
        LLM(folder)
    with load(folder, **ONE) as found:
        assert isinstance(found, Transcriber)


def test_a_checkpoint_without_what_transcription_needs(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "generation_config.json").write_text('{"no_timestamps_token_id": 9999}')
    with pytest.raises(ConfigError, match="9999, which is no token"):
        Transcriber(tmp_path, **ONE)


def test_asyncio(folder: Path, model: Transcriber) -> None:
    given = (sound(1.2, 2), 16_000)

    async def both() -> tuple[Transcript, list[Any]]:
        async with AsyncTranscriber(folder, **ONE) as found:
            whole = await found.transcribe(given, fallback=())
            return whole, [part async for part in found.stream(given, fallback=())]

    whole, parts = asyncio.run(both())
    assert whole == parts[-1] == model.transcribe(given, fallback=())


def test_leaving_a_stream_ends_its_request(model: Transcriber) -> None:
    parts: Any = model.stream((sound(9.0, 1), 16_000))
    next(parts)
    parts.close()
    assert model.queue.drain(20)
    assert model.inner.engine.drain(20)


def test_subtitles() -> None:
    segments = (Segment(" One\n\ntwo --> three", 0.0, 1.5), Segment(" Four.", 3661.0, 3662.25))
    whole = Transcript("One", "en", 9.0, segments)
    assert written(whole, "srt") == (
        "1\n00:00:00,000 --> 00:00:01,500\nOne two -> three\n\n"
        "2\n01:01:01,000 --> 01:01:02,250\nFour.\n"
    )
    assert written(whole, "vtt").startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nOne two ->")
    assert json.loads(written(whole, "json"))["usage"] == {"type": "duration", "seconds": 9}


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(file_of(sound(2.5, 1)))
    asked = ["transcribe", "-m", str(folder), "--threads", "1", str(file), "--no-fallback"]
    assert main([*asked, "--format", "verbose_json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main(asked) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [each["text"].strip() for each in told["segments"]]
    assert main([*asked, "-o", str(tmp_path / "a.srt"), "--language", "German"]) == 0
    assert "a.srt: 2.5 seconds of sound" in capsys.readouterr().err
    assert (tmp_path / "a.srt").read_text("utf-8").startswith("1\n00:00:0")
    assert main([*asked[:3], str(tmp_path / "b.wav")]) == 2
    assert main([*asked, "-o", str(tmp_path / "a.pdf")]) == 2
    assert "endings .txt, .srt, .vtt, .json" in capsys.readouterr().err
    (tmp_path / "folder.srt").mkdir()
    assert main([*asked, "-o", str(tmp_path / "folder.srt")]) == 1
    assert "cannot write" in capsys.readouterr().err
