"""Several models in one process: by name, on demand, unloaded and loaded again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import httpx2 as httpx
import pytest
from tramontane_plugin_server.model_manager import Catalog
from tramontane_plugin_server.model_settings import ModelSettings
from tramontane_plugin_server.settings import read

from .live_server import serving

SHORT = {"messages": "Tell me a story", "max_tokens": 4}


def file_of(name: str, folder: Path) -> Path:
    """The embedded model's file under another name."""
    path = folder / name
    path.symlink_to(str(files("tramontane_plugin_embedded").joinpath("model.gguf")))
    return path


def status(client: httpx.Client) -> dict[str, str]:
    return {model["id"]: model["status"] for model in client.get("/v1/models").json()["data"]}


def test_a_model_is_loaded_by_the_first_that_asks(tmp_path: Path) -> None:
    config = tmp_path / "server.toml"
    config.write_text(
        f'[[models]]\nmodel = "{file_of("one.gguf", tmp_path)}"\n'
        f'[[models]]\nmodel = "{file_of("two.gguf", tmp_path)}"\nname = "second"\nload = "demand"\n'
    )
    with serving(tmp_path, "--config", str(config)) as live, live.client() as client:
        assert status(client) == {"one": "loaded", "second": "unloaded"}

        def ask(model: str) -> tuple[int, str]:
            answer = client.post("/v1/chat/completions", json={**SHORT, "model": model})
            return answer.status_code, answer.json()["model"]

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(ask, ["second"] * 4)) == {(200, "second")}
        assert status(client) == {"one": "loaded", "second": "loaded"}
        assert ask("default") == (200, "one")


def test_a_client_that_does_not_wait_for_the_model_does_not_stop_it(tmp_path: Path) -> None:
    with serving(tmp_path, "--load", "demand") as live, live.client() as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/chat/completions", json=SHORT, timeout=0.05)
        assert client.post("/v1/chat/completions", json=SHORT).status_code == 200
        loads = [line for line in live.log.read_text().splitlines() if " 503 " in line]
        assert loads == []


def test_unloaded_by_hand_it_comes_back_by_hand(tmp_path: Path) -> None:
    with serving(tmp_path) as live, live.client() as client:
        asked = {"model_id": "default"}
        gone = client.post("/v1/models/unload", json=asked)
        assert gone.json() == {"model_id": "default", "status": "unloaded"}
        refused = client.post("/v1/chat/completions", json=SHORT)
        assert refused.status_code == 503
        assert "/v1/models/reload" in refused.json()["error"]["message"]
        back = client.post("/v1/models/reload", json=asked)
        assert back.json()["status"] == "loaded"
        assert client.post("/v1/chat/completions", json=SHORT).status_code == 200
        assert client.post("/v1/models/status", json={"model_id": "no"}).status_code == 404


def test_unloading_waits_for_answers(tmp_path: Path) -> None:
    with serving(tmp_path) as live, live.client() as client:
        body = {
            "messages": "Tell me a story",
            "max_tokens": 400,
            "ignore_eos": True,
            "stream": True,
        }
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            with ThreadPoolExecutor(1) as pool:
                asked = {"model_id": "default"}
                gone = pool.submit(client.post, "/v1/models/unload", json=asked)
                assert "data: [DONE]" in list(lines)
                assert gone.result().json()["status"] == "unloaded"


def chosen(client: httpx.Client) -> list[float]:
    """What the model thinks of its own words."""
    body = {**SHORT, "logprobs": True, "temperature": 0, "max_tokens": 8}
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return [token["logprob"] for token in answer.json()["choices"][0]["logprobs"]["content"]]


def test_re_isq_is_what_isq_loads(tmp_path: Path) -> None:
    """The model answers first what it has begun; who asks meanwhile waits for the new one."""
    with serving(tmp_path, "--isq", "q4_0") as live, live.client() as client:
        expected = chosen(client)
    (tmp_path / "other").mkdir()
    with serving(tmp_path / "other") as live, live.client() as client:
        before = chosen(client)
        assert before != expected
        body = {"messages": "A", "max_tokens": 300, "ignore_eos": True, "stream": True}
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            with ThreadPoolExecutor(2) as pool:
                asked = {"ggml_type": "Q4_0"}
                made = pool.submit(client.post, "/re_isq", json=asked)
                while status(client)["default"] == "loaded":
                    time.sleep(0.01)
                meanwhile = pool.submit(chosen, client)
                assert "data: [DONE]" in list(lines)
                done = made.result()
                assert meanwhile.result() == expected
        assert done.json()["isq"] == "Q4_0"
        assert done.json()["quantized"].startswith("quantized to Q4_0: ")
        assert chosen(client) == expected
        refused = client.post("/re_isq", json={"ggml_type": "q4_zero"})
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "ggml_type"
        assert "q4_zero" in refused.json()["error"]["message"]
        assert client.post("/re_isq", json={"ggml_type": 4, "model": "no"}).status_code == 404
        assert chosen(client) == expected


def test_a_model_that_cannot_be_quantized_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for it meanwhile gets it, and no error."""
    import asyncio

    from tramontane.errors import NotEnoughMemory
    from tramontane_plugin_server import model_manager
    from tramontane_plugin_server.http.errors import ApiError

    def load(settings: ModelSettings) -> str | None:
        if settings.isq is not None:
            time.sleep(0.05)
            raise NotEnoughMemory("too little")
        return f"model {settings.name}"

    monkeypatch.setattr(model_manager, "load", load)
    monkeypatch.setattr(model_manager, "load_adapters", lambda *given: None)
    monkeypatch.setattr(model_manager, "_close", lambda model: None)
    served = Catalog(read(None, {"models": [{"name": "a"}]}).models).find("a")

    async def ask() -> None:
        assert await served.load() == "model a"
        made = asyncio.create_task(served.requantize("q4_k"))
        await asyncio.sleep(0.01)
        assert (served.model, served.status) == (None, "loading")
        assert await served.load() == "model a"
        with pytest.raises(ApiError, match=r"cannot be quantized to q4_k: .*; it is as it was"):
            await made
        assert (served.settings.isq, served.status) == (None, "loaded")

    asyncio.run(ask())


def test_an_idle_model_is_unloaded_and_comes_back(tmp_path: Path) -> None:
    with serving(tmp_path, "--idle-unload", "0.2") as live, live.client() as client:
        end = time.monotonic() + 60
        while status(client) != {"default": "unloaded"}:
            assert time.monotonic() < end, "an idle model stays"
            time.sleep(0.02)
        assert client.post("/v1/chat/completions", json=SHORT).status_code == 200


def test_one_model_has_several_names(tmp_path: Path) -> None:
    options = ["--name", "story", "--alias", "gpt-4o", "--alias", "claude-x"]
    with serving(tmp_path, *options) as live, live.client() as client:
        assert list(status(client)) == ["story", "gpt-4o", "claude-x"]
        for name in ("story", "gpt-4o", "claude-x", "default"):
            answer = client.post("/v1/chat/completions", json={**SHORT, "model": name})
            assert (answer.status_code, answer.json()["model"]) == (200, "story")
        assert client.get("/v1/models/gpt-4o").json()["id"] == "gpt-4o"
        theirs = {"anthropic-version": "2023-06-01"}
        listed = client.get("/v1/models?after_id=story", headers=theirs).json()
        assert [one["id"] for one in listed["data"]] == ["gpt-4o", "claude-x"]
        assert client.get("/v1/models/claude-x", headers=theirs).json()["id"] == "claude-x"
        other = client.post("/v1/chat/completions", json={**SHORT, "model": "gpt-5"})
        assert "there are: story, gpt-4o, claude-x" in other.json()["error"]["message"]
        client.post("/v1/models/unload", json={"model_id": "gpt-4o"})
        assert set(status(client).values()) == {"unloaded"}  # it is one model


def test_a_star_is_every_name() -> None:
    settings = read(None, {"models": [{"name": "a"}, {"name": "b", "alias": ["*"], "num_ctx": 9}]})
    catalog = Catalog(settings.models)
    assert [catalog.find(name).name for name in ("a", "b", "gpt-4o", None)] == ["a", "b", "b", "a"]
    assert catalog.find("gpt-4o").names == ("b",)
