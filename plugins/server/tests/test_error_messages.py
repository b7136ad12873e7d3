"""What clients read of errors: no options, no server paths, no Python, no package commands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from tramontane import errors
from tramontane_plugin_server.http.errors import ApiError, api_error

from .live_server import Live, serving

ROOT = Path(__file__).parents[3]
RAISED = {
    "RequestError", "TemplateError", "NoTemplate", "PluginNotInstalled", "EngineBusy", "ApiError",
    "ValueError", "PydanticCustomError", "HTTPException",
}  # fmt: skip
FOR_OWNERS = re.compile(
    r"(?<!\w)--[a-z]|docs/|\bFILE\b|\btramontane[ -]|\bpip\b|\bPython\b|SamplingParams|TRAMONTANE_"
    r"|pydantic|uvicorn|starlette|\b(?:params|schema|mcp|tools)=|HF_|\{[\w.]*path\}|\.toml"
)
NOT_ON_THE_WAY = (
    "core/src/tramontane/cli/",  # the command line's own
    "core/src/tramontane/doctor/",
    "core/src/tramontane/scaffold/",
    "core/src/tramontane/testing/",
    "core/src/tramontane/hub/",  # loading: the log gets the message
    "core/src/tramontane/checkpoint/",
    "core/src/tramontane/quantizing/",
    "core/src/tramontane/verifying/",
    "core/src/tramontane/media/files.py",  # Python's and the command line's: requests name no file
    "core/src/tramontane/model/source.py",
    "core/src/tramontane/chat/choose.py",
    "core/src/tramontane/mcp/config.py",  # the server's start
    "core/src/tramontane/llm.py",  # Python's own
    "core/src/tramontane/model/open_model.py",
    "core/src/tramontane/model/prompt_batch.py",
    "core/src/tramontane/sampling_keywords.py",
    "core/src/tramontane/results.py",
    "core/src/tramontane/grammar.py",
    "core/src/tramontane/agent/session_store.py",  # of `run` and `sessions`
    "plugins/agent/src/tramontane_plugin_agent/command.py",
    "plugins/llm/",
    "plugins/mcp/src/tramontane_plugin_mcp/command.py",
    "plugins/mistralrs/",
)


def messages() -> Iterator[tuple[str, str]]:
    """Where, and the source of each message that a request may be answered with."""
    for path in sorted(ROOT.glob("*/src/**/*.py")) + sorted(ROOT.glob("plugins/*/src/**/*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(NOT_ON_THE_WAY):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in RAISED:
                yield f"{name}:{node.lineno}", " ".join(map(ast.unparse, node.args))


def test_no_message_speaks_to_the_owner() -> None:
    found = list(messages())
    assert len(found) > 140
    assert [one for one in found if FOR_OWNERS.search(one[1])] == []


@pytest.mark.parametrize(
    "kind", [errors.RequestError, errors.TemplateError, errors.NoTemplate,
             errors.PluginNotInstalled],
)  # fmt: skip
def test_hints_are_for_the_command_line(kind: type[errors.TramontaneError]) -> None:
    error = kind("it does not fit", hint="raise --num-ctx")
    assert str(error) == "it does not fit; raise --num-ctx"
    assert "--num-ctx" not in str(api_error(error))


@pytest.mark.parametrize(
    "error",
    [
        errors.CheckpointError("/srv/models/secret.gguf is truncated"),
        errors.NotEnoughMemory("/srv/models/secret.gguf needs 4 GB; use --force"),
        errors.PluginBroken("tramontane-arch-x: /opt/lib/x.py raises"),
        OSError(2, "No such file", "/srv/models/secret.gguf"),
    ],
)
def test_trouble_with_the_servers_files_goes_to_the_log(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    answer = api_error(error)
    assert answer.status in (500, 503)
    assert "log has the reason" in str(answer)
    assert "/" not in str(answer)
    assert isinstance(error, OSError) or "secret" in caplog.text or "x.py" in caplog.text


def test_a_status_with_a_message_stays_as_it_is() -> None:
    error = ApiError(409, "as it is")
    assert api_error(error) is error


def test_a_live_server_shows_neither_paths_nor_options(live: Live) -> None:
    asked: list[tuple[str, dict[str, object]]] = [
        ("/v1/completions", {"prompt": "word " * 3000}),
        ("/v1/completions", {"prompt": ""}),
        ("/v1/completions", {"prompt": "a", "grammar": "("}),
        ("/v1/chat/completions", {"messages": []}),
        ("/v1/chat/completions", {"messages": [{"role": "user"}]}),
        ("/v1/messages", {"messages": "x"}),
        ("/v1/responses", {"input": "word " * 3000}),
        ("/nowhere", {}),
    ]
    for path, body in asked:
        answer = httpx.post(live.url + path, json={"model": "default", **body}, timeout=60)
        assert 400 <= answer.status_code < 500, (path, body)
        message = answer.json()["error"]["message"]
        assert not FOR_OWNERS.search(message), message
        assert str(Path.home()) not in message


def test_root_is_the_name_of_the_model(live: Live) -> None:
    (model,) = httpx.get(f"{live.url}/v1/models").json()["data"]
    assert model["root"] == model["id"]


def test_the_owner_may_show_where_models_come_from(tmp_path: Path) -> None:
    options = ("-m", "embedded", "--name", "small", "--load", "demand", "--show-model-paths")
    with serving(tmp_path, *options) as live:
        (model,) = httpx.get(f"{live.url}/v1/models").json()["data"]
    assert (model["id"], model["root"]) == ("small", "embedded")
