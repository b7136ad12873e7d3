"""What the official clients get where they send images."""

from __future__ import annotations

import base64
import http.server
import io
import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from PIL import Image

from .live_server import Live, serving
from .vision_model import write_vision_model


@pytest.fixture(scope="module")
def pictures() -> Iterator[str]:
    """The address of a web server that has a red picture."""

    class Red(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(base64.b64decode(data("red")))

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Red)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/red.png"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("seeing")
    write_vision_model(folder / "model")
    with serving(folder, "-m", str(folder / "model")) as live:
        yield live


@pytest.fixture(scope="module")
def fetching(tmp_path_factory: pytest.TempPathFactory, pictures: str) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("fetching")
    write_vision_model(folder / "model")
    config = folder / "serve.toml"
    host = pictures.split("/")[2]
    config.write_text(
        f'fetch_host = ["{host}"]\nfetch_max_bytes = 100000\n[[models]]\n'
        f'model = "{folder / "model"}"\nmax_num_images = 3\nmax_edge = 25\n'
        "media_cache = 1000000\n"
    )
    with serving(folder, "--config", str(config)) as live:
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


def test_files_in_results_of_tools_several_and_history(seeing: Live) -> None:
    """Each form of all three APIs, answered alike by the same model."""
    url = f"data:image/png;base64,{data('red')}"
    chat_parts = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "file", "file": {"file_data": url, "filename": "a.png"}},
    ]
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    chats = [
        {"role": "user", "content": chat_parts}, 
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": [chat_parts[1]]},
    ]  # fmt: skip
    shown = [{"type": "input_image", "image_url": url, "detail": "high"},
             {"type": "input_file", "file_data": url, "filename": "a.png"}]  # fmt: skip
    items = [
        {"role": "user", "content": shown},
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": [shown[1]]},
    ]
    source = {"type": "base64", "media_type": "image/png", "data": data("red")}
    image = {"type": "image", "source": source}
    use = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [image]}
    messages = [
        {"role": "user", "content": [image, image]},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    with openai.OpenAI(base_url=f"{seeing.url}/v1", api_key="none", max_retries=0) as client:
        chatted = client.chat.completions.create(
            model="default", messages=chats, max_tokens=2, temperature=0,  # type: ignore[arg-type]
        )  # fmt: skip
        responded = client.responses.create(
            model="default", input=items, max_output_tokens=2, temperature=0,  # type: ignore[arg-type]
        )  # fmt: skip
    with anthropic.Anthropic(base_url=seeing.url, api_key="none", max_retries=0) as other:
        told = other.messages.create(
            model="default", messages=messages, max_tokens=2, extra_body={"temperature": 0},  # type: ignore[arg-type]
        )  # fmt: skip
    details = chatted.usage.prompt_tokens_details
    one = chat(seeing, "red").usage.prompt_tokens_details.image_tokens
    assert details.image_tokens == 3 * one > 0
    assert details.audio_tokens is None
    sizes = (chatted.usage.prompt_tokens, responded.usage.input_tokens)
    cached = told.usage.cache_read_input_tokens or 0
    assert sizes == (sizes[0], sizes[0])
    assert abs(told.usage.input_tokens + cached - sizes[0]) <= 8  # the call's id, as JSON


def test_addresses_by_the_owners_leave(fetching: Live, pictures: str) -> None:
    parts = {
        "/v1/chat/completions": {"type": "image_url", "image_url": {"url": pictures}},
        "/v1/responses": {"type": "input_image", "image_url": pictures},
        "/v1/messages": {"type": "image", "source": {"type": "url", "url": pictures}},
    }
    with fetching.client() as client:
        for path, part in parts.items():
            name = "input" if path.endswith("responses") else "messages"
            asked = {"model": "default", name: [{"role": "user", "content": [part]}]}
            most = {"max_output_tokens" if name == "input" else "max_tokens": 2}
            answer = client.post(path, json=asked | most)
            assert answer.status_code == 200, answer.text
        url = pictures.replace("127.0.0.1", "localhost")
        for given, said in (
            (url, "message 0, part 0: localhost is none of the hosts"),
            ("https://a.example/a", "a.example is none of the hosts"),
        ):
            part = {"type": "image_url", "image_url": {"url": given}}
            asked = {"model": "default", "messages": [{"role": "user", "content": [part]}]}
            answer = client.post("/v1/chat/completions", json=asked)
            assert answer.status_code == 400
            assert said in answer.json()["error"]["message"]
        part = {"type": "image_url", "image_url": {"url": pictures}}
        asked = {"model": "default", "messages": [{"role": "user", "content": [part] * 4}]}
        answer = client.post("/v1/chat/completions", json=asked)
        assert "4 images, more than 3" in answer.json()["error"]["message"]
