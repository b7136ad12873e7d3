"""A picture that the official clients send is named in the right words.

The circles, squares and triangles are drawn here, by other means than those of the training.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import anthropic
import openai
import pytest
from PIL import Image, ImageDraw

from .live_server import Live, serving

ASKED = "What is in the picture?"


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("seeing"), "-m", "embedded-vision") as live:
        yield live


def drawn(colour: str, shape: str, kind: str = "PNG") -> str:
    """In base64."""
    image = Image.new("RGB", (320, 240), "white")
    pen = ImageDraw.Draw(image)
    if shape == "circle":
        pen.ellipse((90, 50, 230, 190), fill=colour)
    elif shape == "square":
        pen.rectangle((90, 50, 230, 190), fill=colour)
    else:
        pen.polygon(((160, 40), (250, 190), (70, 190)), fill=colour)
    file = io.BytesIO()
    image.save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    ("colour", "shape"), [("red", "circle"), ("blue", "square"), ("green", "triangle")]
)
def test_openai_chat(seeing: Live, colour: str, shape: str) -> None:
    url = {"url": f"data:image/png;base64,{drawn(colour, shape)}"}
    parts = [{"type": "text", "text": ASKED}, {"type": "image_url", "image_url": url}]
    talk = [{"role": "user", "content": parts}]
    with openai.OpenAI(base_url=f"{seeing.url}/v1", api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(model="default", messages=talk)  # type: ignore[arg-type]
        assert answer.choices[0].message.content == f"a {colour} {shape}"
        talk += [{"role": "assistant", "content": f"a {colour} {shape}"},  # type: ignore[dict-item]
                 {"role": "user", "content": "What colour is it?"}]  # type: ignore[dict-item]  # fmt: skip
        chunks = client.chat.completions.create(model="default", messages=talk, stream=True)  # type: ignore[arg-type, call-overload]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == colour


def test_openai_responses(seeing: Live) -> None:
    url = f"data:image/jpeg;base64,{drawn('yellow', 'triangle', 'JPEG')}"
    parts = [{"type": "input_image", "image_url": url, "detail": "auto"},
             {"type": "input_text", "text": "Which shape is it?"}]  # fmt: skip
    with openai.OpenAI(base_url=f"{seeing.url}/v1", api_key="none", max_retries=0) as client:
        answer = client.responses.create(
            model="default",
            input=[{"role": "user", "content": parts}],  # type: ignore[list-item, misc]
        )
    assert answer.output_text == "a triangle"


def test_anthropic_two_pictures_of_one_conversation(seeing: Live) -> None:
    def shown(colour: str, shape: str) -> list[dict[str, object]]:
        source = {"type": "base64", "media_type": "image/png", "data": drawn(colour, shape)}
        return [{"type": "image", "source": source}, {"type": "text", "text": ASKED}]

    with anthropic.Anthropic(base_url=seeing.url, api_key="none", max_retries=0) as client:
        talk: list[dict[str, object]] = [{"role": "user", "content": shown("purple", "square")}]
        first = client.messages.create(model="default", max_tokens=30, messages=talk)  # type: ignore[arg-type]
        assert first.content[0].text == "a purple square"  # type: ignore[union-attr]
        talk += [{"role": "assistant", "content": "a purple square"},
                 {"role": "user", "content": shown("orange", "circle")}]  # fmt: skip
        second = client.messages.create(model="default", max_tokens=30, messages=talk)  # type: ignore[arg-type]
    assert second.content[0].text == "an orange circle"  # type: ignore[union-attr]
