"""What the official client gets where it has sounds written down."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import soundfile

from tests.transcription.checkpoints import sound, write_whisper

from .live_server import Live, serving

ONCE: Any = {"temperature": 1}
"""No window is written again at a higher one."""


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("whisper")
    write_whisper(folder / "model", 1, plain=True, max_target_positions=32)
    with serving(folder, "-m", str(folder / "model"), "--threads", "1") as live:
        yield live


@pytest.fixture(scope="module")
def client(whisper: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{whisper.url}/v1", api_key="none", max_retries=0) as found:
        yield found


def file(seconds: float = 2.4) -> Any:
    made = io.BytesIO()
    soundfile.write(made, sound(seconds, 1), 16_000, format="WAV")
    return "talk.wav", made.getvalue()


def test_every_format(client: openai.OpenAI) -> None:
    create: Any = client.audio.transcriptions.create
    told = create(
        model="default", file=file(), response_format="verbose_json", language="de", **ONCE
    )
    assert (told.language, told.duration) == ("de", 2.4)
    assert told.segments
    assert told.segments[0].avg_logprob < 0
    text = create(model="default", file=file(), language="german", **ONCE)
    assert text.text == told.text == "".join(each.text for each in told.segments).strip()
    assert text.usage.seconds == 2
    plain = create(model="default", file=file(), language="de", response_format="text", **ONCE)
    assert plain == f"{told.text}\n"
    srt = create(model="default", file=file(), language="de", response_format="srt", **ONCE)
    assert srt.startswith("1\n00:00:0")
    vtt = create(model="default", file=file(), language="de", response_format="vtt", **ONCE)
    assert vtt.startswith("WEBVTT\n\n00:00:0")
    assert vtt.count("-->") == srt.count("-->") == len(told.segments)


def test_a_stream(client: openai.OpenAI) -> None:
    whole = client.audio.transcriptions.create(model="default", file=file(), **ONCE)
    create: Any = client.audio.transcriptions.create
    events = list(create(model="default", file=file(), stream=True, **ONCE))
    deltas = [each.delta for each in events if each.type == "transcript.text.delta"]
    assert "".join(deltas).strip() == whole.text
    assert len(deltas) > 1
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == whole.text


def test_translations(client: openai.OpenAI, whisper: Live) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the client's own, about every call of it
        text = client.audio.translations.create(model="default", file=file(), **ONCE).text
    with whisper.client() as opened:
        form = {"response_format": "verbose_json", "temperature": "1"}
        told = opened.post("/v1/audio/translations", data=form, files={"file": file()}).json()
    assert (told["task"], told["text"]) == ("translate", text)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"response_format": "xml"}, "response_format"),
        ({"temperature": "5"}, "temperature"),
        ({"language": "xx"}, "the model knows no language 'xx'"),
        ({"stream": "true", "response_format": "srt"}, "stream=true is for json and text"),
        ({"include[]": "logprobs"}, "include is not supported"),
        ({"timestamp_granularities[]": "word"}, "is for verbose_json"),
        (
            {"timestamp_granularities[]": "word", "response_format": "verbose_json"},
            "times of words are not found",
        ),
        ({"file": "talk.wav"}, "file should be a file of the form"),
    ],
)
def test_forms_that_are_refused(form: dict[str, str], said: str, whisper: Live) -> None:
    files: Any = {} if "file" in form else {"file": file()}
    files = files or {"other": ("a", b"a")}
    with whisper.client() as opened:
        answer = opened.post("/v1/audio/transcriptions", data=form, files=files)
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["error"]["message"]


def test_sounds_and_bodies_that_are_refused(whisper: Live) -> None:
    with whisper.client() as opened:
        broken = opened.post("/v1/audio/transcriptions", files={"file": ("a.wav", b"RIFF")})
        assert broken.status_code == 400
        assert "no sound of a known format" in broken.json()["error"]["message"]
        missing = opened.post("/v1/audio/transcriptions", files={"other": ("a.wav", b"RIFF")})
        assert "file is required" in missing.json()["error"]["message"]
        plain = opened.post("/v1/audio/transcriptions", json={"file": "a.wav"})
        assert plain.status_code == 415
        chat = {"model": "default", "messages": [{"role": "user", "content": "hi"}]}
        wrong = opened.post("/v1/chat/completions", json=chat)
        assert wrong.status_code == 400
        assert "POST /v1/audio/transcriptions" in wrong.json()["error"]["message"]
        ignored = opened.post(
            "/v1/audio/transcriptions",
            files={"file": file(0.3)},
            data={"mood": "x", "temperature": "1"},
        )
        assert ignored.headers["x-tramontane-ignored"] == "mood"
