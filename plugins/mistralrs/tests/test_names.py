"""The Python names: those of the real wheel, and what they do over a tiny model."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tramontane_plugin_mistralrs.mistralrs as ours
from tramontane.errors import RequestError
from tramontane_plugin_mistralrs.mistralrs import (
    ChatCompletionRequest,
    McpClientConfigPy,
    McpServerConfigPy,
    McpServerSourcePy,
    Runner,
    ToolChoice,
    Which,
)

WHEEL = json.loads(Path(__file__).with_name("names.json").read_text("utf-8"))
"""What `mistralrs` 0.9.5 exports, recorded by asking it."""
ENUMS = ("Architecture", "MultimodalArchitecture", "EmbeddingArchitecture", "ModelDType",
         "DiffusionArchitecture", "SpeechLoaderType", "ToolChoice", "AgentPermission",
         "AgentToolKind", "AgentToolSource", "NetworkMode", "SearchContextSize")  # fmt: skip
MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize("name", WHEEL["names"])
def test_a_name_of_the_wheel_is_here(name: str) -> None:
    assert hasattr(ours, name)


@pytest.mark.parametrize("name", ENUMS)
def test_members_are_here(name: str) -> None:
    assert {*WHEEL["members"][name]} <= {*dir(getattr(ours, name))}


@pytest.mark.parametrize("name", WHEEL["methods"])
def test_runner_has_the_method(name: str) -> None:
    told = re.findall(r"[(,] ?(\w+)", WHEEL["methods"][name].replace("$", ""))
    have = inspect.signature(getattr(Runner, name)).parameters
    assert [each for each in told if each != "self"] == [
        each for each in have if each != "self"
    ] or ({*told} <= {*have})


@pytest.mark.parametrize("name", WHEEL["signatures"])
def test_arguments_are_the_wheel_s(name: str) -> None:
    """The same names in the same order, and as many that have no default; ours may have more."""
    found: Any = ours
    for part in name.split("."):
        found = getattr(found, part)
    have = inspect.signature(found).parameters
    told = re.sub(r'"[^"]*"', '""', WHEEL["signatures"][name].strip("()")).split(", ")
    names = [each.partition("=")[0] for each in told if each != "*"]
    assert [each for each in have if each in names] == names
    required = [each for each in told if "=" not in each and each != "*"]
    needed = [each for each, one in have.items() if one.default is inspect.Parameter.empty]
    assert {*needed} <= {*required}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"no_kv_cache": True}, "--no-kv-cache"),
        ({"no_paged_attn": True}, "--no-paged-attn"),
        ({"enable_search": True}, "enable_search"),
        ({"anymoe_config": object()}, "tramontane anymoe train"),
        ({"in_situ_quant": "Q9"}, "--isq Q9"),
        ({"pa_blk_size": 32}, "--pa-blk-size 32: only 16"),
    ],
)
def test_an_argument_that_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        Runner(which=Which.Plain(model_id="org/a"), **given)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(RequestError, match=r"one of Which"):
        Runner(which="org/a")


def test_a_tool_s_callback_is_what_runs() -> None:
    """It is given the name and the arguments."""
    from tramontane.chat.toolbox import Function
    from tramontane_plugin_mistralrs.mistralrs.asking import chat_options

    schema = json.dumps({"type": "function", "function": {"name": "f", "parameters": {}}})
    asked = ChatCompletionRequest(
        messages=MESSAGES, model="m", tool_schemas=[schema], tool_choice=ToolChoice.Auto
    )
    options, runs = chat_options(asked, {"f": lambda name, values: f"{name}:{values['x']}"})
    (tool,) = options["tools"]
    assert (runs, options["tool_choice"]) == (True, "auto")
    assert isinstance(tool, Function)
    assert tool.run(x=1) == "f:1"


def test_mcp_servers_are_our_configuration() -> None:
    from tramontane.mcp import read_config

    config = McpClientConfigPy(
        servers=[
            McpServerConfigPy(
                name="files",
                source=McpServerSourcePy.Process(command="npx", args=["server-filesystem"]),
            )
        ],
        auto_register_tools=True,
    )
    (server,) = read_config(config.config()).servers
    assert (server.server.name, server.transport) == ("files", "stdio")
    assert tuple(server.server.command) == ("npx", "server-filesystem")


SCRIPT = """
import sys
try:
    import mistralrs
except ImportError:
    sys.exit("no mistralrs")
print(mistralrs.__file__)
"""


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **variables}, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_name_is_found_only_when_asked_for(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    alone = _run(str(script))
    asked = _run("-m", "tramontane_plugin_mistralrs", str(script))
    assert "no mistralrs" in alone.stderr
    assert "tramontane_plugin_mistralrs" in asked.stdout, asked.stderr


def test_a_real_module_of_the_name_wins(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mistralrs.py").write_text("")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    asked = _run(
        "-m", "tramontane_plugin_mistralrs", str(script), PYTHONPATH=str(tmp_path / "there")
    )
    assert asked.stdout.strip() == str(tmp_path / "there" / "mistralrs.py"), asked.stderr
