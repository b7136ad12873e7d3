"""mistral.rs's commands and Python over a tiny model that is made here."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tramontane.errors import RequestError
from tramontane_plugin_mistralrs.command import mistralrs, mistralrs_server
from tramontane_plugin_mistralrs.mistralrs import (
    Architecture,
    ChatCompletionRequest,
    CompletionRequest,
    Runner,
    Which,
)

from .tiny import write_model

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    write_model(folder)
    return folder


@pytest.fixture(scope="module")
def runner(folder: Path) -> Iterator[Runner]:
    made = Runner(which=Which.Plain(model_id=str(folder), arch=Architecture.Llama), max_seqs=4)
    yield made
    made.remove_model(made.list_models()[0])


def test_the_readme_s_first_program(runner: Runner) -> None:
    answer = runner.send_chat_completion_request(
        ChatCompletionRequest(
            model="mistral", messages=MESSAGES, max_tokens=8, presence_penalty=1.0, top_p=0.1,
            temperature=0.1,
        )
    )  # fmt: skip
    assert isinstance(answer.choices[0].message.content, str)
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.model == "mistral"


def test_a_stream_is_the_answer_in_texts(runner: Runner) -> None:
    asked = {"messages": MESSAGES, "model": "", "max_tokens": 8}
    whole = runner.send_chat_completion_request(ChatCompletionRequest(**asked))
    chunks = list(runner.send_chat_completion_request(ChatCompletionRequest(**asked, stream=True)))
    assert all(isinstance(chunk.choices[0].delta.content, str) for chunk in chunks)
    told = "".join(chunk.choices[0].delta.content for chunk in chunks)
    assert told == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_it_answers_as_our_own_class(runner: Runner, folder: Path) -> None:
    import tramontane

    with tramontane.LLM(folder) as llm:
        expected = llm.chat(MESSAGES, max_tokens=8)
        plain = llm.generate("Once", max_tokens=4)
    answer = runner.send_chat_completion_request(
        ChatCompletionRequest(messages=MESSAGES, model="default", max_tokens=8)
    )
    assert answer.choices[0].message.content == expected.content
    raw = runner.send_chat_completion_request(
        ChatCompletionRequest(messages="Once", model="default", max_tokens=4)
    )
    completed = runner.send_completion_request(
        CompletionRequest(prompt="Once", model="default", max_tokens=4, echo_prompt=True)
    )
    assert raw.choices[0].message.content == plain.text
    assert completed.choices[0].text == "Once" + plain.text


def test_logprobs_have_tokens_and_others(runner: Runner) -> None:
    asked = {"messages": MESSAGES, "model": "m", "max_tokens": 2, "logprobs": True,
             "top_logprobs": 3}  # fmt: skip
    answer = runner.send_chat_completion_request(ChatCompletionRequest(**asked))
    first = answer.choices[0].logprobs.content[0]
    assert first.logprob <= 0
    assert len(first.top_logprobs) == 3
    chunk = next(
        iter(runner.send_chat_completion_request(ChatCompletionRequest(**asked, stream=True)))
    )
    assert chunk.choices[0].logprobs.content[0].token == first.token


def test_tokens_and_names(runner: Runner) -> None:
    ids = runner.tokenize_text("Hello", False, None)
    assert runner.detokenize_text(ids, False) == "Hello"
    (name,) = runner.list_models()
    assert runner.list_models_with_status() == [(name, "loaded")]
    runner.unload_model(name)
    assert runner.list_unloaded_models() == [name]
    runner.reload_model(name)
    assert runner.is_model_loaded(name)
    assert runner.max_sequence_length() > 0
    with pytest.raises(RequestError, match="there is no model 'other'"):
        runner.send_chat_completion_request(
            ChatCompletionRequest(messages=MESSAGES, model="m"), model_id="other"
        )


REFUSED = {
    "enable_shell": True, "enable_code_execution": True, "session_id": "s",
    "truncate_sequence": True, "tool_dispatch_url": "http://localhost/x", "grammar": "a",
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_field_that_nothing_does_is_refused_by_name(runner: Runner, name: str) -> None:
    asked = ChatCompletionRequest(messages=MESSAGES, model="m", **{name: REFUSED[name]})
    with pytest.raises(RequestError, match=name):
        runner.send_chat_completion_request(asked)


def test_a_grammar_and_tools(runner: Runner) -> None:
    pytest.importorskip("tramontane_plugin_grammar", reason="grammars are a plugin's")
    answer = runner.send_chat_completion_request(
        ChatCompletionRequest(
            messages=MESSAGES, model="m", max_tokens=4, grammar="[0-9]{3}", grammar_type="regex"
        )
    )
    assert re.fullmatch("[0-9]{3}", answer.choices[0].message.content)


LINES = [
    "run -m MODEL -i Hello --seed 1",
    "run text -m MODEL --input Hello --dtype f32 --cpu --max-seq-len 128",
    "run -m MODEL -i Hello --isq q8_0 --pa-cache-type auto --paged-attn on -v",
    "bench -m MODEL --prompt-len 8 --gen-len 4 --depth 0 --iterations 1 --warmup 1",
    "uqff inspect -m MODEL",
    "tune -m MODEL --json",
]


@pytest.mark.parametrize("line", LINES if FULL else [LINES[0], LINES[4]])
def test_a_line_runs(folder: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert mistralrs([str(folder) if word == "MODEL" else word for word in line.split()]) == 0
    assert capsys.readouterr().out


def test_another_architecture_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mistralrs_server(["-i", "plain", "-m", str(folder), "-a", "phi3"]) == 2
    assert "is of LlamaForCausalLM, which is another architecture" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("mistralrs-server --port PORT plain -m MODEL", ("default", "mistral", "gpt-3.5-turbo")),
        pytest.param(
            "mistralrs serve -p PORT -m MODEL --no-ui", ("default", "model"),
            marks=pytest.mark.skipif(
                not FULL, reason="starts a second server; TRAMONTANE_FULL=1 does"
            ),
        ),
    ],
)  # fmt: skip
def test_a_server_answers_by_the_names_of_scripts(
    folder: Path, form: str, names: tuple[str, ...]
) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    told = form.replace("PORT", str(port)).replace("MODEL", str(folder)).split()
    line = [str(Path(sys.executable).with_name(told[0])), *told[1:]]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stderr is not None
            assert "127.0.0.1, for this machine only" in server.stderr.readline()
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            for name in names:
                asked = {"model": name, "messages": MESSAGES, "max_tokens": 4}
                answer = _posted(url, json.dumps(asked).encode())
                assert 0 < answer["usage"]["completion_tokens"] <= 4
            if told[0] == "mistralrs":  # only the older one takes any name
                asked = {"model": "mistral", "messages": MESSAGES}
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    _posted(url, json.dumps(asked).encode())
        finally:
            server.terminate()
        assert server.wait(60) in (0, -signal.SIGTERM)


def _posted(url: str, body: bytes) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    for _ in range(300):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"nobody answers at {url}")


def test_the_calls_of_llama_index(folder: Path) -> None:
    """As llama-index-llms-mistral-rs 0.6.0 makes them, every argument by keyword."""
    made = Runner(
        which=Which.Plain(model_id=str(folder)), token_source="cache", max_seqs=16,
        prefix_cache_n=16, no_kv_cache=False, chat_template=None, in_situ_quant=None,
    )  # fmt: skip
    asked = {
        "model": "", "logit_bias": None, "temperature": 0.0, "max_tokens": 4, "top_k": 32,
        "top_p": 0.1, "top_logprobs": None, "logprobs": False, "frequency_penalty": None,
        "presence_penalty": None,
    }  # fmt: skip
    text = ""
    for messages in ("Hello", MESSAGES):
        request = ChatCompletionRequest(messages=messages, stream=True, **asked)
        for chunk in made.send_chat_completion_request(request):
            text += chunk.choices[0].delta.content
    assert text
    made.remove_model(made.list_models()[0])
