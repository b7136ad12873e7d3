"""A model whose template has no place for tools is never offered any, in any API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from .live_server import Live, serving

PLAIN = """{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
ASK = [{"role": "user", "content": "What is the weather in Lisbon?"}]
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
RESPONSE = {"type": "function", "name": "f", "parameters": SCHEMA}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
USED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}
CLAUDE = {"name": "f", "input_schema": SCHEMA}


@pytest.fixture(scope="module")
def toolless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("toolless")
    template = folder / "plain.jinja"
    template.write_text(PLAIN)
    with serving(folder, "--chat-template", str(template)) as live:
        yield live
        live.idle()


def fault(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"]["message"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions",
         {"messages": ASK, "tools": [{"type": "function", "function": {"name": "f"}}]}),
        ("/v1/responses", {"input": "x", "tools": [RESPONSE]}),
        ("/v1/responses", {"input": [CALL]}),
        ("/v1/messages", {"max_tokens": 9, "messages": ASK, "tools": [CLAUDE]}),
        ("/v1/messages", {"max_tokens": 9, "messages": [*ASK, USED, RESULT]}),
    ],
)  # fmt: skip
def test_tools_are_refused(toolless: Live, path: str, fields: Any, stream: bool) -> None:
    with toolless.client() as client:
        answer = client.post(path, json={"model": "default", "stream": stream, **fields})
        assert "chat template has no place" in fault(answer)
