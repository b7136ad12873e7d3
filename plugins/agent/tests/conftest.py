"""A model whose answers a test writes, and a web of pages on this machine."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tramontane import LLM
from tramontane.engine.request import RequestResult, Timings, Usage

TEMPLATE = """\
{%- if tools %}<|im_start|>system
<tools>{% for tool in tools %}{{ tool | tojson }}{% endfor %}</tools>
<tool_call>{"name": ..., "arguments": ...}</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}{% for call in message.tool_calls or [] %}
<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""  # noqa: E501
ANSWER = Callable[[str], str]


def call(tool: str, /, **arguments: Any) -> str:
    """A call as the model writes it."""
    return f"<tool_call>{json.dumps({'name': tool, 'arguments': arguments})}</tool_call>"


def obeys(prompt: str) -> str:
    """The answer of a model that does whatever the last text says: the calls in it, or its end."""
    last = prompt.rpartition("<|im_start|>assistant")[0].rpartition("<|im_start|>")[2]
    calls = re.findall(r"<tool_call>.*?</tool_call>", last, re.DOTALL)
    return "".join(calls) or f"done: {last.strip()[-200:]}"


@dataclass
class Scripted:
    """A loaded model whose forward pass is a function of the prompt's text."""

    llm: LLM
    answer: ANSWER = obeys
    prompts: list[str] = field(default_factory=list)

    def results(self, requests: list[Any]) -> list[RequestResult]:
        """What the engine would return."""
        return [self._result(request) for request in requests]

    def _result(self, request: Any) -> RequestResult:
        prompt = self.llm.detokenize(request.prompt)
        self.prompts.append(prompt)
        return RequestResult(
            id=request.id, text=self.answer(prompt), token_ids=(), finish_reason="stop",
            usage=Usage(len(request.prompt), 1), timings=Timings(0, 0, 0), seed=0,
        )  # fmt: skip


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LLM]:
    template = tmp_path_factory.mktemp("template") / "hermes.jinja"
    template.write_text(TEMPLATE)
    with LLM(device="reference", chat_template=template) as llm:
        yield llm


@pytest.fixture
def model(loaded: LLM, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    scripted = Scripted(loaded)
    monkeypatch.setattr(loaded, "_results", scripted.results)
    return scripted


@dataclass
class Web:
    """Pages by path, which a test adds to; a SearxNG finds those whose text has a query's words."""

    host: str
    pages: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def found(self, query: str) -> list[dict[str, str]]:
        words = query.lower().split()
        return [
            {"url": self.url + path, "title": path[1:], "content": text[:80]}
            for path, text in self.pages.items()
            if any(word in text.lower() for word in words)
        ]


@pytest.fixture
def web() -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            parts = urlsplit(self.path)
            if parts.path == "/search":
                results = found.found(parse_qs(parts.query)["q"][0])
                self._say(json.dumps({"results": results}), "application/json")
            elif parts.path in found.redirects:
                self.send_response(302)
                self.send_header("location", found.redirects[parts.path])
                self.end_headers()
            elif parts.path in found.pages:
                self._say(found.pages[parts.path], "text/html; charset=utf-8")
            else:
                self.send_error(404)

        def _say(self, text: str, kind: str) -> None:
            data = text.encode()
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Web(f"127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def options(web: Web) -> list[str]:
    """Of the toolset search: this web, which is at a private address."""
    return [f"search.url={web.url}", f"search.hosts={web.host}"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of conversations' files."""
    return tmp_path / "conversations"
