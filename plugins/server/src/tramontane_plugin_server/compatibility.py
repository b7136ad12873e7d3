"""Which fields of OpenAI's and Anthropic's requests are supported, and why others are refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from .anthropic.message_request import CountRequest, MessageRequest
from .openai.chat_request import ChatRequest
from .openai.completion_request import CompletionRequest
from .openai.fields import NO_EFFECT, RequestBody
from .openai.response_counting import CountRequest as InputTokensRequest
from .openai.response_request import ResponseRequest

REQUESTS: Mapping[str, type[RequestBody]] = {
    "POST /v1/chat/completions": ChatRequest,
    "POST /v1/completions": CompletionRequest,
    "POST /v1/responses": ResponseRequest,
    "POST /v1/responses/input_tokens": InputTokensRequest,
    "POST /v1/messages": MessageRequest,
    "POST /v1/messages/count_tokens": CountRequest,
}
HEAD = """\
# Compatibility

How the server handles each field that the official clients can send (`openai` {openai}, `anthropic`
{anthropic}, beta fields included). Tests compare this page, and the fields of the objects inside,
with the clients' own types and with the code: the list is complete.

A field that is known and not supported is refused by name, with a 400, unless its value requests
nothing. An unknown field, at any depth or in a query string, is ignored: the header
`x-tramontane-ignored` of the answer lists it, and the log mentions it once. Tools of types other
than functions (`web_search`, `custom`, `bash_20250124`, ...) are ignored too: they are not shown to
the model, and a `tool_choice` of such a tool is refused. `--strict-fields` refuses both.
Those for web search and code execution are not ignored where the server's owner turned on
[the toolset](agent.md#other-apis) for them.

The tests replay requests of these clients:

- Claude Code, `/v1/messages`: `context_management` is supported (`clear_thinking_20251015` and
  `clear_tool_uses_20250919`); `redacted_thinking` is accepted and not shown to the model; a first
  line `x-anthropic-billing-header: ...` of `system` is removed, because it differs in every request
  and would prevent prompt caching.
- Codex, `/v1/responses`: functions and namespaces of functions are shown to the model; other tools
  are ignored. An empty `input` gets an empty answer.
- The tool runner of `anthropic`: `thread` is refused with the error that makes it continue without.
"""


def page(official: Mapping[str, Iterable[str]], versions: Mapping[str, str]) -> str:
    """docs/compatibility.md. official: fields by route, from the clients' types.

    Raises KeyError for a field that the server neither honours nor refuses by name.
    """
    parts = [HEAD.format(**versions)]
    for route, request in REQUESTS.items():
        lines = [f"## {route}", "", "| field | support |", "|---|---|"]
        names = sorted(set(official[route]))
        lines += [f"| `{name}` | {_said(request, name)} |" for name in names]
        more = sorted(set(request.model_fields) - set(names))
        if more:
            lines += ["", "Beyond the API: " + ", ".join(f"`{name}`" for name in more) + "."]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _said(request: type[RequestBody], name: str) -> str:
    if name in request.refused:
        neutral = " or ".join(f"`{json.dumps(value)}`" for value in request.neutral.get(name, ()))
        return f"refused{f', but for {neutral}' if neutral else ''}: {request.refused[name]}"
    field = request.model_fields[name]
    if field.description == NO_EFFECT:
        return NO_EFFECT
    return "supported" + (f": {field.description}" if field.description else "")
