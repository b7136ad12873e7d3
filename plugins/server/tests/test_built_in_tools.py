"""Web search and code execution in the forms of OpenAI's and Anthropic's APIs, read by their own
clients. The toolsets are stand-ins whose arguments any model can write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from openai.types.responses import ResponseCodeInterpreterToolCall, ResponseFunctionWebSearch

from .live_server import Live, serving

ALLOWED = [
    "core", "arch-llama", "quant-gguf", "backend-cpu", "plugin-embedded", "plugin-samplers",
    "plugin-grammar", "plugin-tools", "plugin-server",
]  # fmt: skip
STAND_IN = '''
from contextlib import asynccontextmanager
from typing import Literal
from tramontane.plugin import Toolset, hookimpl

@hookimpl
def toolsets():
    for name in ("search", "python"):
        yield Toolset(name=name, summary="Pretend.", open=f"acme_tools:open_{name}")

async def search_web(query: Literal["wind"]):
    """Search."""
    from tramontane.tools import Citation, ToolResult
    return ToolResult(text="It blows.", citations=[Citation("https://a.example/", "A")])

async def python(code: Literal["1+1"]):
    """Run."""
    return "2"

class Session:
    def __init__(self, function, risk):
        self.function, self.risk = function, risk
    def functions(self):
        from tramontane.chat.toolbox import function_tool
        return [function_tool(self.function, risk=self.risk)]

@asynccontextmanager
async def open_search(context):
    yield Session(search_web, "network")

@asynccontextmanager
async def open_python(context):
    yield Session(python, "execute")
'''
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
CODE = {"type": "code_execution_20250825", "name": "code_execution"}
SAY: Any = [{"role": "user", "content": "Go."}]


@pytest.fixture(scope="module")
def acting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("built-in")
    about = folder / "dist" / "acme_tools-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tools\nVersion: 1.0\n")
    entries = "[tramontane.toolsets]\nsearch = acme_tools\npython = acme_tools\n"
    (about / "entry_points.txt").write_text(entries)
    (folder / "dist" / "acme_tools.py").write_text(STAND_IN)
    template = str(Path(__file__).with_name("hermes.jinja"))
    tools = ["--tools", "search,python", "--tool-folder", str(folder), "--approvals", "auto"]
    with pytest.MonkeyPatch.context() as patch:
        path = os.environ.get("PYTHONPATH", "")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder / "dist"), path])))
        allowed = [*(f"tramontane-{name}" for name in ALLOWED), "acme-tools"]
        patch.setenv("TRAMONTANE_PLUGINS", ",".join(allowed))
        options = ["--chat-template", template, "--max-tool-rounds", "1", "--strict-fields"]
        with serving(folder, *options, *tools) as live:
            yield live
            live.idle()


@pytest.fixture
def openais(acting: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{acting.url}/v1", api_key="x", max_retries=0) as found:
        yield found


@pytest.fixture
def anthropics(acting: Live) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=acting.url, api_key="x", max_retries=0) as found:
        yield found


def of_responses(name: str, kind: str) -> dict[str, Any]:
    choice = {"type": "function", "name": name}
    return {
        "model": "default", "input": "Go.", "tools": [{"type": kind}], "tool_choice": choice,
        "max_output_tokens": 40, "temperature": 0, "parallel_tool_calls": False,
    }  # fmt: skip


def of_messages(name: str, tool: dict[str, Any]) -> dict[str, Any]:
    choice = {"type": "tool", "name": name, "disable_parallel_tool_use": True}
    return {
        "model": "default", "messages": SAY, "tools": [tool], "tool_choice": choice,
        "max_tokens": 40, "extra_body": {"temperature": 0},
    }  # fmt: skip


def test_a_search_is_an_item_of_the_response(openais: openai.OpenAI) -> None:
    asked = of_responses("search_web", "web_search")
    answer = openais.responses.create(**asked)
    found, *_ = answer.output
    assert isinstance(found, ResponseFunctionWebSearch)
    assert found.status == "completed"
    action = found.action.model_dump()
    assert (action["type"], action["query"]) == ("search", "wind")
    assert action["sources"][0]["url"] == "https://a.example/"
    assert openais.responses.retrieve(answer.id).output[0] == found
    again = openais.responses.create(
        model="default", input="And?", previous_response_id=answer.id, max_output_tokens=4
    )
    assert again.status in ("completed", "incomplete")
    kept = [item.model_dump(exclude_none=True) for item in answer.output]
    sent: Any = [{"role": "user", "content": "Go."}, *kept, {"role": "user", "content": "And?"}]
    assert openais.responses.create(model="default", input=sent, max_output_tokens=4).output


def test_code_is_an_item_of_the_response_as_it_is_streamed(openais: openai.OpenAI) -> None:
    asked = of_responses("python", "code_interpreter")
    asked["tools"] = [{"type": "code_interpreter", "container": {"type": "auto"}}]
    kinds, added = [], None
    for event in openais.responses.create(**asked, stream=True):
        kinds.append(event.type)
        if event.type == "response.output_item.done":
            added = added or event.item
    assert isinstance(added, ResponseCodeInterpreterToolCall)
    assert (added.code, added.status) == ("1+1", "completed")
    assert added.outputs is not None
    assert added.outputs[0].model_dump() == {"type": "logs", "logs": "2"}
    place = kinds.index("response.code_interpreter_call.in_progress")
    assert kinds[place - 1] == "response.output_item.added"
    assert kinds[place + 1 : place + 3] == [
        "response.code_interpreter_call.completed", "response.output_item.done"
    ]  # fmt: skip


def test_calls_of_tools_that_were_not_named_are_no_items(openais: openai.OpenAI) -> None:
    asked = of_responses("search_web", "code_interpreter")
    answer = openais.responses.create(**asked)
    assert {item.type for item in answer.output} <= {"message"}
    assert answer.model_dump()["server_tool_calls"][0]["name"] == "search_web"


def test_a_search_is_two_blocks_of_the_message(anthropics: anthropic.Anthropic) -> None:
    asked = of_messages("search_web", SEARCH)
    answer = anthropics.messages.create(**asked)
    used, result = answer.content[:2]
    assert (used.type, result.type) == ("server_tool_use", "web_search_tool_result")
    assert used.input == {"query": "wind"}
    assert result.tool_use_id == used.id
    assert isinstance(result.content, list)
    assert [(one.url, one.title) for one in result.content] == [("https://a.example/", "A")]
    kept = [block.model_dump(exclude_none=True) for block in answer.content]
    history: Any = [*SAY, {"role": "assistant", "content": kept}, *SAY]
    more = {**asked, "messages": history, "tool_choice": {"type": "none"}}
    assert anthropics.messages.create(**more).role == "assistant"


def test_code_is_two_blocks_as_it_is_streamed(anthropics: anthropic.Anthropic) -> None:
    with anthropics.messages.stream(**of_messages("python", CODE)) as stream:
        answer = stream.get_final_message()
    used, result = answer.content[:2]
    assert (used.type, used.input) == ("server_tool_use", {"code": "1+1"})
    assert result.type == "code_execution_tool_result"
    assert result.content.model_dump()["stdout"] == "2"


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages"])
def test_where_they_are_off_they_are_named_and_left_out(
    live: Live, path: str, tmp_path: Path
) -> None:
    tool = {"type": "web_search"} if path.endswith("responses") else SEARCH
    more = {"input": "Go."} if path.endswith("responses") else {"messages": SAY, "max_tokens": 2}
    with live.client() as client:
        body = {"model": "default", **more, "tools": [tool]}
        answer = client.post(path, json=body)
        assert answer.status_code == 200
        assert tool["type"] in answer.headers["x-tramontane-ignored"]
        chosen = {**body, "tool_choice": {"type": tool["type"]}}
        assert client.post(path, json=chosen).status_code == 400


def test_web_search_options_need_the_toolset(acting: Live, live: Live) -> None:
    body = {"messages": SAY, "max_tokens": 2, "web_search_options": {"search_context_size": "low"}}
    with acting.client() as client:
        assert client.post("/v1/chat/completions", json=body).status_code == 200
    with live.client() as client:
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "web_search_options"
