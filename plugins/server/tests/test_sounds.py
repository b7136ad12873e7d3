"""What the official client gets where it sends sounds."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
import soundfile

from .hearing_model import write_hearing_model
from .live_server import Live, serving

QUESTION = "what is it?"


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("hearing")
    write_hearing_model(folder / "model")
    with serving(folder, "-m", str(folder / "model"), "--num-ctx", "2048") as live:
        yield live


def data(tone: float, seconds: float = 0.3, kind: str = "WAV") -> str:
    """A file in base64."""
    file = io.BytesIO()
    t = np.arange(int(8000 * seconds)) / 8000
    wave = (9000 * np.sin(2 * np.pi * tone * t)).astype(np.int16)
    soundfile.write(file, wave, 8000, format=kind)
    return base64.b64encode(file.getvalue()).decode()


def client(live: Live) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0)


def chat(live: Live, *sounds: dict[str, Any]) -> Any:
    parts: Any = [*sounds, {"type": "text", "text": QUESTION}]
    with client(live) as opened:
        return opened.chat.completions.create(
            model="default", messages=[{"role": "user", "content": parts}], max_tokens=6,
            temperature=0, logprobs=True, extra_body={"ignore_eos": True},
        )  # fmt: skip


def given(tone: float, kind: str = "WAV") -> dict[str, Any]:
    sound = {"data": data(tone, kind=kind), "format": kind.lower()}
    return {"type": "input_audio", "input_audio": sound}


def probabilities(answer: Any) -> list[float]:
    return [one.logprob for one in answer.choices[0].logprobs.content]


def test_chat_completions(hearing: Live) -> None:
    low, again, high = (chat(hearing, given(tone)) for tone in (200, 200, 900))
    assert probabilities(low) == probabilities(again) != probabilities(high)
    assert low.usage.prompt_tokens_details.audio_tokens == 4
    two = chat(hearing, given(200), given(900))
    assert two.usage.prompt_tokens_details.audio_tokens == 8
    text = chat(hearing)
    assert text.usage.prompt_tokens_details.audio_tokens is None


def test_a_url_and_another_format_are_the_same(hearing: Live) -> None:
    url = {"url": f"data:audio/wav;base64,{data(200)}"}
    found = chat(hearing, {"type": "audio_url", "audio_url": url})
    same = chat(hearing, given(200, "FLAC"))
    assert probabilities(found) == probabilities(same) == probabilities(chat(hearing, given(200)))


def test_responses(hearing: Live) -> None:
    parts: Any = [given(200), {"type": "input_text", "text": QUESTION}]
    with client(hearing) as opened:
        answer = opened.responses.create(
            model="default", input=[{"role": "user", "content": parts}], max_output_tokens=6,
            temperature=0, extra_body={"ignore_eos": True},
        )  # fmt: skip
        assert answer.output_text == chat(hearing, given(200)).choices[0].message.content
        assert answer.usage is not None
        assert answer.usage.input_tokens_details.to_dict()["audio_tokens"] == 4
        further = opened.responses.create(
            model="default", input="and now?", previous_response_id=answer.id, max_output_tokens=1
        )
        assert further.usage is not None
        assert further.usage.input_tokens_details.to_dict()["audio_tokens"] == 4


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "no sound of a kn"),
        ({"type": "input_audio", "input_audio": {"data": "?"}}, "not valid base64"),
        ({"type": "input_audio", "input_audio": {"format": "wav"}}, "give input_audio with data"),
        ({"type": "input_audio", "input_audio": {"data": data(9)[:900]}}, "its end is missing"),
        ({"type": "audio_url", "audio_url": {"url": "https://a.example/b.wav"}}, "is not fetched"),
        ({"type": "audio_url", "audio_url": {"url": "/etc/hostname"}}, "reads no files"),
        ({"type": "audio", "audio": "/etc/hostname"}, "reads no files"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, "is an image"),
        ({"type": "text", "text": "[AUDIO]"}, None),
    ],
)
def test_errors_and_texts_with_marks(hearing: Live, part: dict[str, Any], said: str | None) -> None:
    asked = {"model": "default", "messages": [{"role": "user", "content": [part]}], "max_tokens": 1}
    with hearing.client() as opened:
        answer = opened.post("/v1/chat/completions", json=asked)
    if said is None:
        assert answer.status_code == 200, answer.text
    else:
        assert answer.status_code == 400
        assert said in answer.json()["error"]["message"]


def test_more_than_the_context_is_refused_with_both_numbers(hearing: Live) -> None:
    sound = {"type": "input_audio", "input_audio": {"data": data(200, 200)}}
    asked = {"messages": [{"role": "user", "content": [sound]}], "max_tokens": 1}
    with hearing.client() as opened:
        answer = opened.post("/v1/chat/completions", json=asked)
    assert answer.status_code == 400
    assert "tokens and the context 2048" in answer.json()["error"]["message"]
