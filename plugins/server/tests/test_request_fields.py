"""Numbers as any language writes them, errors that name their field, and what /tokenize tells."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tramontane.chat.fallback import no_template
from tramontane.errors import NoTemplate
from tramontane_plugin_server.http.errors import ApiError, api_error
from tramontane_plugin_server.model_manager import Catalog, Served
from tramontane_plugin_server.model_settings import ModelSettings

from .live_server import Live

TURN = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": TURN},
    "/v1/completions": {"prompt": "Once"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": TURN, "max_tokens": 2},
}


def integers(live: Live, path: str) -> list[str]:
    """Fields that the description calls integers, or lists of them."""
    with live.client() as client:
        told = client.get("/openapi.json").json()
    body = told["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    shape = told["components"]["schemas"][body["$ref"].rpartition("/")[2]]

    def is_one(field: dict[str, Any]) -> bool:
        kinds = field.get("anyOf", [field])
        found = [kind.get("items", kind).get("type") for kind in kinds]
        return "integer" in found

    return [name for name, field in shape["properties"].items() if is_one(field)]


@pytest.mark.parametrize("path", BODIES)
def test_an_integer_may_be_written_as_a_float(live: Live, path: str) -> None:
    names = integers(live, path)
    assert len(names) > 9
    with live.client() as client:
        for name in names:
            for value, wrong in [("1.0", False), ("1e0", False), ("1.5", True), ('"1"', True),
                                 ("true", True), ("1e400", True)]:  # fmt: skip
                value = f"[{value}]" if name == "stop_token_ids" else value
                if name == "prompt":
                    value = f"[98, {value}]"
                body = json.dumps({**BODIES[path], name: "here"}).replace('"here"', value)
                answer = client.post(
                    path, content=body, headers={"content-type": "application/json"}
                )
                said = (answer.json().get("error") or {}).get("message", "")
                assert ("integer" in said or "list of token ids" in said) == wrong, (
                    name,
                    value,
                    said,
                )


def test_lists_of_token_ids_too(live: Live) -> None:
    with live.client() as client:
        text = client.post("/detokenize", json={"tokens": [42, 130.0, 105.0]}).json()["prompt"]
        assert text == "Hé"
        answers = [
            client.post("/v1/completions", json={"prompt": prompt, "max_tokens": 3.0}).json()
            for prompt in ([42, 90], [42.0, 90.0], [[42.0, 90.0]])
        ]
    assert len({answer["choices"][0]["text"] for answer in answers}) == 1
    assert answers[0]["usage"]["completion_tokens"] == 3


def test_a_tools_arguments_stay_as_they_were_written(thinking: Live) -> None:
    def count(value: float) -> int:
        call = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": value}}
        result = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
        turns = [*TURN, {"role": "assistant", "content": [call]},
                 {"role": "user", "content": [result]}]  # fmt: skip
        with thinking.client() as client:
            answer = client.post("/v1/messages/count_tokens", json={"messages": turns})
        return int(answer.json()["input_tokens"])

    assert count(4.0) > count(4)


@pytest.mark.parametrize(
    ("path", "fields", "param", "code", "said"),
    [
        ("/v1/chat/completions", {"audio": {}}, "audio", "unsupported_parameter", "only text"),
        ("/v1/chat/completions", {"stream_options": {}}, "stream_options", "invalid_value",
         "stream=true"),
        ("/v1/chat/completions", {"store": True}, "store", "unsupported_parameter",
         "/v1/responses"),
        ("/v1/chat/completions", {"n": 17}, "n", "invalid_value", "at most 16"),
        ("/v1/chat/completions", {"n": 200}, "n", "invalid_value", "128"),
        ("/v1/chat/completions", {"n": "x"}, "n", "invalid_type", "integer"),
        ("/v1/chat/completions", {"messages": None}, "messages", "invalid_type", "messages"),
        ("/v1/completions", {"prompt": [[1, 359], "hello"]}, "prompt", "invalid_type",
         "list of token ids"),
        ("/v1/completions", {"prompt": ["a", 3]}, "prompt", "invalid_type", "list of token ids"),
        ("/v1/completions", {"prompt": [None]}, "prompt", "invalid_type", "list of token ids"),
        ("/v1/completions", {"prompt": []}, "prompt", "invalid_value", "no text to continue"),
        ("/v1/completions", {"suffix": "x"}, "suffix", "unsupported_parameter", "in-the-middle"),
        ("/v1/responses", {"conversation": "c"}, "conversation", "unsupported_parameter",
         "previous_response_id"),
        ("/v1/responses", {"tool_choice": {"type": "mcp"}}, "tool_choice.type", "invalid_value",
         "only functions"),
        ("/tokenize", {"prompt": None}, "prompt", "invalid_value", "messages"),
        ("/tokenize", {"prompt": "x", "tools": [{"type": "function", "function": {"name": "f"}}]},
         "tools", "invalid_value", "messages"),
        ("/v1/models/status", {}, "model_id", "missing_required_parameter", "required"),
    ],
)  # fmt: skip
def test_an_error_names_its_field(
    live: Live, path: str, fields: dict[str, Any], param: str, code: str, said: str
) -> None:
    with live.client() as client:
        answer = client.post(path, json={**BODIES.get(path, {}), **fields})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert said in error["message"]
    assert "docs/" not in error["message"]


def test_the_most_answers_are_told_as_the_owner_set_them(live: Live) -> None:
    with live.client() as client:
        shapes = client.get("/openapi.json").json()["components"]["schemas"]
        page = client.get("/docs").text
    for shape, name in [("ChatRequest", "n"), ("CompletionRequest", "n"),
                        ("CompletionRequest", "best_of")]:  # fmt: skip
        kinds = shapes[shape]["properties"][name]["anyOf"]
        assert [kind.get("maximum") for kind in kinds] == [16, None]
    assert "integer 1 to 16" in page
    assert "integer 1 to 128" not in page


def test_pieces_of_a_text(live: Live) -> None:
    given = {"prompt": "Hé ☃ Once upon", "with_pieces": True, "return_token_strs": True}
    with live.client() as client:
        plain = client.post("/tokenize", json={"prompt": given["prompt"]}).json()
        found = client.post("/tokenize", json=given).json()
    assert set(plain) == {"count", "max_model_len", "tokens"}
    assert [one["id"] for one in found["tokens"]] == plain["tokens"]
    pieces = [one["piece"] for one in found["tokens"]]
    data = b"".join(p.encode() if isinstance(p, str) else bytes(p) for p in pieces)
    assert data.decode().endswith(given["prompt"])
    assert any(isinstance(piece, list) for piece in pieces)
    for piece, text in zip(pieces, found["token_strs"], strict=True):
        assert text == (piece if isinstance(piece, str) else "\ufffd")


def test_tools_are_tokenized_with_their_conversation(live: Live) -> None:
    tools = [{"type": "function", "function": {"name": "get_weather"}}]
    with live.client() as client:
        for more in ({}, {"tools": tools}):
            body = {"messages": TURN, **more}
            tokens = client.post("/tokenize", json=body).json()["tokens"]
            usage = client.post("/v1/chat/completions", json={**body, "max_tokens": 1}).json()
            assert len(tokens) == usage["usage"]["prompt_tokens"]
        named = [{"role": "developer", "content": "Be brief"}, *TURN]
        asked = [{"role": "system", "content": "Be brief"}, *TURN]
        one, other = (
            client.post("/tokenize", json={"messages": messages}).json()
            for messages in (named, asked)
        )
    assert one == other


@pytest.mark.parametrize("more", [{"logprobs": 1}, {"prompt_logprobs": 1}, {"logprobs": 0, "n": 2}])
def test_an_echo_is_streamed_with_its_probabilities(live: Live, more: dict[str, Any]) -> None:
    body = {"prompt": ["Once upon", "The end"], "max_tokens": 3, "echo": True, **more}
    with live.client() as client:
        whole = client.post("/v1/completions", json=body).json()["choices"]
        text = client.post("/v1/completions", json={**body, "stream": True}).text
    lines = [line[6:] for line in text.splitlines() if line[:6] == "data: " and "[DONE" not in line]
    pieces = [json.loads(line)["choices"][0] for line in lines]
    for choice in whole:
        own = [piece for piece in pieces if piece["index"] == choice["index"]]
        assert "".join(piece["text"] for piece in own) == choice["text"]
        assert own[0].get("prompt_logprobs") == choice.get("prompt_logprobs")
        for name in ("tokens", "token_logprobs", "text_offset"):
            told = [one for piece in own for one in (piece["logprobs"] or {name: []})[name]]
            assert told == (choice["logprobs"] or {name: []})[name]


def test_the_log_says_once_why_a_model_is_not_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = Catalog((ModelSettings(model=str(tmp_path / "secret.gguf")),))

    async def ask() -> None:
        async with catalog.lease(None):
            raise AssertionError("it is not there")

    async def together() -> list[BaseException | None]:
        return await asyncio.gather(ask(), ask(), ask(), return_exceptions=True)

    for error in asyncio.run(together()):
        assert isinstance(error, ApiError)
        assert (error.status, error.code) == (503, "model_not_loaded")
    assert len(caplog.messages) == 1
    assert "secret.gguf" in caplog.messages[0]
    caplog.clear()
    with pytest.raises(ApiError):
        asyncio.run(catalog.start())  # who starts a server says it
    assert not caplog.messages


def test_no_error_names_a_file_of_the_servers(tmp_path: Path) -> None:
    with pytest.raises(NoTemplate, match="secret") as lacking:
        no_template("/srv/secret/model.gguf")
    told = api_error(lacking.value)
    assert (told.status, told.code) == (400, "no_chat_template")
    assert "/v1/completions" in str(told)
    served = Served(ModelSettings(model=str(tmp_path / "secret.gguf")))
    with pytest.raises(ApiError, match="the server's log says why") as failed:
        asyncio.run(served.load())
    for error in (told, failed.value):
        assert "secret" not in str(error).replace(served.name, "")
        assert "--" not in str(error)
