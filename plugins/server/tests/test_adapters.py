"""Adapters over HTTP: chosen by a request in each API, loaded and dropped while others are
answered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openai
import pytest
import torch
from safetensors.torch import save_file
from tramontane import LLM
from tramontane.blocks import Linear
from tramontane.errors import ConfigError
from tramontane_plugin_server.settings import read

from .live_server import Live, serving

STORY = [{"role": "user", "content": "Tell me a story"}]
CHAT = {"messages": STORY, "max_tokens": 12, "temperature": 0, "ignore_eos": True}


def write(folder: Path, seed: int, shapes: dict[str, tuple[int, ...]]) -> Path:
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for path, (rows, columns) in shapes.items():
        name = f"base_model.model.{path}"
        tensors[f"{name}.lora_A.weight"] = torch.randn(2, columns, generator=generator) / 4
        tensors[f"{name}.lora_B.weight"] = torch.randn(rows, 2, generator=generator) / 4
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With adapters a to d of the embedded model, and one that is none."""
    root = tmp_path_factory.mktemp("adapters")
    with LLM(device="cpu", num_ctx=64) as llm:
        shapes = {
            path: tuple(module.weight.shape)
            for path, module in llm.inner.loaded.model.named_modules()
            if type(module) is Linear and path.endswith(("o_proj", "down_proj"))
        }
    for seed, name in enumerate("abcd"):
        write(root / "allowed" / name, seed, shapes)
    write(root / "outside", 9, shapes)
    (root / "allowed" / "broken").mkdir()
    (root / "allowed" / "broken" / "adapter_config.json").write_text('{"peft_type": "LOHA"}')
    (root / "allowed" / "way-out").symlink_to(root / "outside")
    return root


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    allowed = folder / "allowed"
    options = ["--lora", f"a={allowed / 'a'}", "--lora", f"b={allowed / 'b'}:0.5"]
    options += ["--adapter-folder", str(allowed)]
    with serving(tmp_path_factory.mktemp("server"), *options) as live:
        yield live


def said(live: Live, **more: Any) -> Any:
    with live.client() as client:
        answer = client.post("/v1/chat/completions", json={**CHAT, "logprobs": True, **more})
    assert answer.status_code == 200, answer.text
    assert "x-tramontane-ignored" not in answer.headers
    return [token["logprob"] for token in answer.json()["choices"][0]["logprobs"]["content"]]


def test_two_adapters_in_one_batch_answer_as_each_does_alone(server: Live) -> None:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:

        def ask(model: str) -> Any:
            answer = client.chat.completions.create(
                model=model, messages=STORY, max_tokens=12, temperature=0, logprobs=True
            )
            assert answer.model == ("default" if model == "default" else model)
            return [entry.logprob for entry in answer.choices[0].logprobs.content]

        names = ["default", "a", "b"]
        alone = [ask(name) for name in names]
        assert len(set(map(repr, alone))) == 3
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(ask, names * 2)) == alone * 2
        listed = {model.id: model for model in client.models.list()}
        assert set(listed) == {"default", "a", "b"}
        assert [listed[name].parent for name in names] == [None, "default", "default"]
        assert client.models.retrieve("b").root == "b"


def test_the_field_adapter_in_every_api(server: Live) -> None:
    assert said(server, adapter="a") == said(server, model="a") == said(server, adapter={"a": 1})
    assert said(server, adapter="b:0.5") == said(server, model="b") != said(server, adapter="b:1")
    assert said(server, adapter="a,b") == said(server, adapter={"a": 1.0, "b": 0.5})
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/v1/completions", {"prompt": "Once", "max_tokens": 8, "temperature": 0}),
        ("/v1/responses", {"input": "Once", "max_output_tokens": 8, "temperature": 0}),
        ("/v1/messages", {"messages": STORY, "max_tokens": 8, "temperature": 0}),
    ]
    with server.client() as client:
        for path, body in bodies:
            answers = [
                client.post(path, json={**body, **more}).json()
                for more in ({}, {"model": "a"}, {"adapter": "a"}, {"adapter": "b:2"})
            ]
            texts = [json.dumps(one.get("choices") or one.get("content")) for one in answers]
            if path == "/v1/responses":
                texts = [one["output"][0]["content"][0]["text"] for one in answers]
            assert texts[1] == texts[2]
            assert len(set(texts)) == 3, texts
            assert [one["model"] for one in answers] == ["default", "a", "default", "default"]


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        ({"adapter": "z"}, 400, "there is no adapter 'z': there are a, b"),
        ({"model": "z"}, 404, "there is no model 'z' here; there are: default, a, b"),
        ({"model": "a", "adapter": "b"}, 400, "model 'a' is an adapter already"),
        ({"adapter": {"a": "x"}}, 400, "adapter: must be an adapter's name, several with weights"),
        ({"adapter": "a:inf"}, 400, "within 1000"),
        ({"adapter": 7}, 400, "adapter: must be an adapter's name, several with weights such as"),
        ({"adapter": ["a"]}, 400, "adapter: must be an adapter's name"),
    ],
)
def test_what_cannot_be_asked(
    server: Live, more: dict[str, Any], status: int, message: str
) -> None:
    with server.client() as client:
        answer = client.post("/v1/chat/completions", json={**CHAT, **more})
    assert answer.status_code == status
    assert message in answer.json()["error"]["message"]
    assert "\n" not in answer.json()["error"]["message"]


def post(live: Live, what: str, **body: Any) -> httpx.Response:
    with live.client() as client:
        return client.post(f"/v1/{what}_lora_adapter", json=body)


def test_loaded_replaced_and_dropped_while_others_are_answered(server: Live, folder: Path) -> None:
    expected = said(server, adapter="a")
    loaded = post(server, "load", lora_name="n", lora_path="a")
    assert loaded.json() == {"lora_name": "n", "status": "loaded", "model_id": "default"}
    assert said(server, model="n") == expected
    again = post(server, "load", lora_name="n", lora_path=str(folder / "allowed" / "c"))
    assert again.status_code == 400
    assert "there is an adapter 'n' already" in again.json()["error"]["message"]
    body = {**CHAT, "max_tokens": 100, "logprobs": True, "model": "n"}
    with server.client() as client:
        whole = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]
        with client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as answer:
            lines = answer.iter_lines()
            text = next(lines)  # it runs
            replaced = post(server, "load", lora_name="n", lora_path="c", load_inplace=True)
            assert replaced.status_code == 200, replaced.text
            other = said(server, model="n")
            assert post(server, "unload", lora_name="n").json()["status"] == "unloaded"
            gone = [json.loads(line[6:]) for line in [text, *lines] if line.startswith("data: {")]
        found = "".join(one["choices"][0]["delta"].get("content") or "" for one in gone)
        assert found == whole["content"]
    assert other not in (expected, said(server))
    refused = post(server, "unload", lora_name="n")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "adapter_not_found")
    assert said(server, adapter="a") == expected


@pytest.mark.parametrize("path", ["../outside", "way-out", "nowhere", "/etc/passwd", "\0", "o/x",
                                  "a/../../outside"])  # fmt: skip
def test_nothing_outside_of_the_folder_is_told_of(server: Live, folder: Path, path: str) -> None:
    answer = post(server, "load", lora_name="n", lora_path=path)
    assert answer.status_code == 404
    assert str(folder) not in answer.text
    assert "that this server may load" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"lora_name": "n", "lora_path": "broken"}, "n cannot be loaded: the server's log says"),
        ({"lora_name": "n", "lora_path": "."}, "n cannot be loaded: the server's log says"),
        ({"lora_name": "default", "lora_path": "a"}, "is called 'default' already"),
        ({"lora_name": "x y", "lora_path": "a"}, "'x y' is no name for an adapter"),
        ({"lora_name": "n"}, "lora_path"),
    ],
)
def test_what_cannot_be_loaded(
    server: Live, folder: Path, body: dict[str, Any], message: str
) -> None:
    answer = post(server, "load", **body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]
    assert str(folder) not in answer.text
    with server.client() as client:
        ids = [model["id"] for model in client.get("/v1/models").json()["data"]]
    assert "n" not in ids


def test_adapters_are_there_again_after_the_model_is_loaded_anew(
    folder: Path, tmp_path: Path
) -> None:
    allowed = folder / "allowed"
    options = ["--lora", f"a={allowed / 'a'}", "--adapter-folder", str(allowed)]
    with serving(tmp_path, *options) as live, live.client() as client:
        first = said(live, model="a")
        assert post(live, "load", lora_name="d", lora_path="d").status_code == 200
        assert client.post("/re_isq", json={"ggml_type": "q4_0"}).status_code == 200
        quantized = [said(live, model=name) for name in ("default", "a", "d")]
        assert len({*map(repr, quantized), repr(first)}) == 4
        for path in ("/v1/models/unload", "/v1/models/reload"):
            assert client.post(path, json={"model_id": "a"}).status_code == 404
            assert client.post(path, json={"model_id": "default"}).status_code == 200
        assert [said(live, model=name) for name in ("default", "a", "d")] == quantized


def test_off_unless_the_owner_allows_it(live: Live) -> None:
    for what, more in (("load", {"lora_path": "a"}), ("unload", {})):
        answer = post(live, what, lora_name="a", **more)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "adapter_loading_not_allowed"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lora": ["=x"]}, "NAME=SOURCE"),
        ({"lora": ["a=x", "a=y"]}, "two adapters are called 'a'"),
        ({"lora": ["default=x"]}, "are called 'default'"),
        ({"lora": ["a=x"], "models": [{"model": "one"}, {"model": "two"}]}, "are called 'a'"),
    ],
)
def test_settings_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(None, given)


def test_an_xlora_is_a_model_among_others(folder: Path, tmp_path: Path) -> None:
    mix = tmp_path / "allowed" / "mix"
    for name in "ab":
        shutil.copytree(folder / "allowed" / name, mix / name)
    save_file(
        {"last.weight": torch.randn(2, 256, generator=torch.Generator().manual_seed(0)),
         "last.bias": torch.zeros(2)},
        mix / "xlora_classifier.safetensors",
    )  # fmt: skip
    settings = {"hidden_size": 256, "adapters": {"a": "", "b": str(folder / "outside")}}
    (mix / "xlora_config.json").write_text(json.dumps(settings))
    order = tmp_path / "order.json"
    order.write_text(json.dumps({"order": ["b", "a"]}))
    options = ["--lora", f"mix={mix}", "--adapter-folder", str(mix.parent)]
    turned = ["--xlora-order", str(order), "--tgt-non-granular-index", "2"]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with serving(tmp_path / "one", *options, *turned) as live:
        first, alone = said(live, model="mix"), said(live)
        assert first != alone
    with serving(tmp_path / "two", *options) as live, live.client() as client:
        listed = client.get("/v1/models").json()["data"]
        assert [(each["id"], each["parent"]) for each in listed][1:] == [("mix", "default")]
        with ThreadPoolExecutor(4) as pool:
            mixed = list(pool.map(lambda name: said(live, model=name), ["mix", "default"] * 2))
        assert mixed[::2] == [mixed[0]] * 2
        assert mixed[1::2] == [alone] * 2
        assert first != mixed[0] != alone
        assert post(live, "load", lora_name="same", lora_path="mix").status_code == 200
        assert said(live, model="same") == mixed[0]
        shutil.rmtree(mix / "b")
        answer = post(live, "load", lora_name="other", lora_path="mix")
        assert answer.status_code == 400, "the other's folder is not below the owner's"
    with pytest.raises(ConfigError, match="xlora_order is for an X-LoRA that lora names"):
        read(None, {"xlora_order": "order.json"})


def test_a_server_merges_what_is_told(folder: Path, tmp_path: Path) -> None:
    allowed = folder / "allowed"
    options = ["--lora", f"a={allowed / 'a'}", "--lora-merge", "--adapter-folder", str(allowed)]
    with serving(tmp_path, *options) as live, live.client() as client:
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["default"]
        merged = said(live)
        answer = client.post("/v1/chat/completions", json={**CHAT, "adapter": "a"})
        assert answer.status_code == 400
        assert "there is no adapter 'a': none is loaded" in answer.json()["error"]["message"]
        assert post(live, "load", lora_name="b", lora_path="b").status_code == 200
        assert said(live, model="b") != merged == said(live)
    with pytest.raises(ConfigError, match="lora_merge merges what lora names"):
        read(None, {"lora_merge": True})
