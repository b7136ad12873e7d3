"""What the official clients get where they send images."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from PIL import Image

from .live_server import Live, serving
from .vision_model import write_vision_model


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("seeing")
    write_vision_model(folder / "model")
    with serving(folder, "-m", str(folder / "model")) as live:
        yield live


def data(color: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), color).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def chat(live: Live, color: str, **more: Any) -> Any:
    url = {"url": f"data:image/png;base64,{data(color)}", "detail": "low"}
    parts = [{"type": "image_url", "image_url": url}, {"type": "text", "text": "what is it?"}]
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0) as client:
        return client.chat.completions.create(
            model="default", messages=[{"role": "user", "content": parts}], max_tokens=6,
            temperature=0, logprobs=True, extra_body={"ignore_eos": True}, **more,
        )  # fmt: skip


def probabilities(answer: Any) -> list[float]:
    return [one.logprob for one in answer.choices[0].logprobs.content]


def test_openai_chat(seeing: Live) -> None:
    red, again, blue = (chat(seeing, color) for color in ("red", "red", "blue"))
    assert probabilities(red) == probabilities(again) != probabilities(blue)
    assert red.usage.prompt_tokens == blue.usage.prompt_tokens > 16


def test_openai_responses_and_anthropic_see_the_same(seeing: Live) -> None:
    url = f"data:image/png;base64,{data('red')}"
    with openai.OpenAI(base_url=f"{seeing.url}/v1", api_key="none", max_retries=0) as client:
        parts = [{"type": "input_image", "image_url": url, "detail": "auto"},
                 {"type": "input_text", "text": "what is it?"}]  # fmt: skip
        answer = client.responses.create(
            model="default", input=[{"role": "user", "content": parts}], max_output_tokens=6,
            temperature=0, extra_body={"ignore_eos": True},
        )  # fmt: skip
    source = {"type": "base64", "media_type": "image/png", "data": data("red")}
    asked = [{"type": "image", "source": source}, {"type": "text", "text": "what is it?"}]
    with anthropic.Anthropic(base_url=seeing.url, api_key="none", max_retries=0) as other:
        message = other.messages.create(
            model="default", messages=[{"role": "user", "content": asked}], max_tokens=6,
            extra_body={"temperature": 0, "ignore_eos": True},
        )  # fmt: skip
        result = [{"type": "tool_result", "tool_use_id": "a", "content": asked}]
        call = [{"type": "tool_use", "id": "a", "name": "look", "input": {}}]
        shown = other.messages.create(
            model="default", max_tokens=2,
            messages=[{"role": "user", "content": "look"}, {"role": "assistant", "content": call},
                      {"role": "user", "content": result}],
        )  # fmt: skip
    expected = chat(seeing, "red").choices[0].message.content
    assert answer.output_text == message.content[0].text == expected
    assert shown.usage.input_tokens > 16


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}, "is not fetched"),
        ({"type": "image_url", "image_url": {"url": "/etc/hostname"}}, "reads no files"),
        ({"type": "image", "image": "/etc/hostname"}, "reads no files"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, "no image of"),
        ({"type": "input_audio", "input_audio": {}}, "is a sound, but"),
        ({"type": "text", "text": "<start_of_image>"}, None),
        ({"type": "text", "text": "<start_of_image> <image_soft_token>"}, None),
    ],
)
def test_errors_and_texts_with_marks(seeing: Live, part: dict[str, Any], said: str | None) -> None:
    asked = {"model": "default", "messages": [{"role": "user", "content": [part]}], "max_tokens": 1}
    with seeing.client() as client:
        answer = client.post("/v1/chat/completions", json=asked)
    if said is None:
        assert answer.status_code == 200, answer.text
    else:
        assert answer.status_code == 400
        assert said in answer.json()["error"]["message"]


def test_a_mark_beside_an_image_is_refused(seeing: Live) -> None:
    url = {"url": f"data:image/png;base64,{data('red')}"}
    parts = [{"type": "image_url", "image_url": url}, {"type": "text", "text": "<start_of_image>"}]
    asked = {"model": "default", "messages": [{"role": "user", "content": parts}], "max_tokens": 1}
    with seeing.client() as client:
        answer = client.post("/v1/chat/completions", json=asked)
    assert answer.status_code == 400
    assert "1 images, and its text 2 times '<start_of_image>'" in answer.json()["error"]["message"]
