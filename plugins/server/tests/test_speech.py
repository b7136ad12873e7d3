"""What the official client gets where it asks for speech."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import numpy as np
import openai
import pytest
import soundfile

from .live_server import Live, serving
from .speaking_model import write_speaking_model

TEXT = "[S1] Hello there."
SHORT = {"seed": 7, "max_seconds": 0.8}
SAMPLES = 512 * int(0.8 * 44_100 / 512)


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("speaking")
    write_speaking_model(folder / "model")
    model = str(folder / "model")
    with serving(folder, "-m", model, "--device", "reference", "--name", "dia") as live:
        yield live


def client(live: Live) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0)


def spoken(live: Live, **given: Any) -> Any:
    with client(live) as opened:
        asked = {"model": "dia", "voice": "default", "input": TEXT, "extra_body": SHORT}
        return opened.audio.speech.create(**(asked | given))


@pytest.mark.parametrize(
    ("kind", "media_type", "rate"),
    [
        ("wav", "audio/wav", 44_100),
        ("flac", "audio/flac", 44_100),
        ("mp3", "audio/mpeg", 44_100),
        ("opus", "audio/ogg", 48_000),
    ],
)
def test_files(speaking: Live, kind: Any, media_type: str, rate: int) -> None:
    found = spoken(speaking, response_format=kind)
    assert found.response.headers["content-type"] == media_type
    samples, told = soundfile.read(io.BytesIO(found.content))
    assert told == rate
    assert abs(len(samples) / rate - SAMPLES / 44_100) < 0.09
    if kind in ("wav", "flac"):
        assert len(samples) == SAMPLES
        assert np.array_equal(samples, wav(speaking))


def wav(live: Live, **given: Any) -> Any:
    samples, _ = soundfile.read(io.BytesIO(spoken(live, response_format="wav", **given).content))
    return samples


def test_seeds_and_voices(speaking: Live) -> None:
    plain = wav(speaking)
    assert np.array_equal(wav(speaking), plain)
    identity = {"x-request-id": "named-in-the-log"}
    again = spoken(speaking, response_format="wav", extra_headers=identity)
    speaking.wait_for_line("named-in-the-log")
    (line,) = [one for one in speaking.log.read_text().splitlines() if "named-in-the-log" in one]
    assert '"dia"' in line
    assert again.response.headers["x-tramontane-seed"] == "7"
    other = wav(speaking, extra_body={**SHORT, "seed": 8})
    ada, openly = (wav(speaking, voice="ada", extra_body={**SHORT, **more})
                   for more in ({}, {"guidance": 1}))  # fmt: skip
    several = [plain, other, ada, openly]
    pairs = [(a, b) for i, a in enumerate(several) for b in several[:i]]
    assert all(not np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_parts_while_it_is_made(speaking: Live, kind: Any) -> None:
    whole = wav(speaking)
    with (
        client(speaking) as opened,
        opened.audio.speech.with_streaming_response.create(
            model="dia", voice="default", input=TEXT, response_format=kind,
            extra_body={**SHORT, "stream": True},
        ) as found,
    ):  # fmt: skip
        assert found.headers["content-type"] == f"audio/{kind}"
        assert "content-length" not in found.headers
        parts = list(found.iter_bytes())
    assert len(parts) >= 2
    with soundfile.SoundFile(io.BytesIO(b"".join(parts))) as file:
        file.seekable = lambda: False  # a FLAC file of unknown length cannot be sought in
        samples = file.read(2 * SAMPLES)
    assert np.array_equal(samples, whole)


def test_pcm_has_the_rate_that_clients_take_it_to_have(speaking: Live) -> None:
    found = spoken(speaking, response_format="pcm")
    assert found.response.headers["content-type"] == "audio/pcm"
    samples = np.frombuffer(found.content, "<i2")
    assert abs(len(samples) - SAMPLES * 24_000 / 44_100) < 50


def test_events(speaking: Live) -> None:
    with client(speaking) as opened:
        found = opened.audio.speech.create(
            model="dia", voice="default", input=TEXT, response_format="flac", stream_format="sse",
            extra_body=SHORT,
        )  # fmt: skip
    lines = [line for line in found.text.split("\n\n") if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert [each["type"] for each in events[-2:]] == ["speech.audio.delta", "speech.audio.done"]
    assert events[-1]["usage"]["input_tokens"] == len(TEXT)
    data = b"".join(base64.b64decode(each["audio"]) for each in events[:-1])
    assert soundfile.info(io.BytesIO(data)).frames > 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"input": ""}, "input"),
        ({"input": " "}, "the text is empty"),
        ({"input": "ü" * 600}, "178 more than the 1024"),
        ({"input": "a" * 70_000}, "input"),
        ({"voice": "alloy"}, "there is no voice 'alloy'; voices: default, ada"),
        ({"voice": {"id": "voice_1"}}, "voices by id are not supported"),
        ({"speed": 2.0}, "speed 2: this model speaks at its own pace"),
        ({"response_format": "aac"}, "response_format"),
        ({"instructions": "Whisper."}, "instructions is not supported"),
        ({"extra_body": {"max_seconds": 1e9}}, "max_seconds"),
        ({"extra_body": {"top_p": 0}}, "top_p"),
    ],
)
def test_what_is_refused(speaking: Live, given: dict[str, Any], said: str) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        spoken(speaking, **given)
    assert said in error.value.message
    assert "TRAMONTANE_VOICES" not in error.value.message


def test_other_routes_name_the_right_one(speaking: Live) -> None:
    with client(speaking) as opened, pytest.raises(openai.BadRequestError) as error:
        opened.chat.completions.create(model="dia", messages=[{"role": "user", "content": "x"}])
    assert "POST /v1/audio/speech" in error.value.message


def test_who_has_gone_is_not_spoken_to(speaking: Live) -> None:
    body = {"model": "dia", "input": TEXT, "response_format": "pcm"}
    with httpx.stream("POST", f"{speaking.url}/v1/audio/speech", json=body, timeout=60) as found:
        assert next(found.iter_raw())
    end = time.monotonic() + 30
    while not cancelled(speaking):
        assert time.monotonic() < end, "it is spoken to the end"
        time.sleep(0.05)


def cancelled(live: Live) -> bool:
    lines = httpx.get(f"{live.url}/metrics").text.splitlines()
    return any("tramontane_task_requests_total" in line and "cancelled" in line for line in lines)
