"""Which fields of OpenAI's and Anthropic's requests are honoured, and why others are refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from .anthropic.message_request import CountRequest, MessageRequest
from .openai.chat_request import ChatRequest
from .openai.completion_request import CompletionRequest
from .openai.fields import NO_EFFECT, Asked
from .openai.response_counting import CountRequest as InputTokensRequest
from .openai.response_request import ResponseRequest

REQUESTS: Mapping[str, type[Asked]] = {
    "POST /v1/chat/completions": ChatRequest,
    "POST /v1/completions": CompletionRequest,
    "POST /v1/responses": ResponseRequest,
    "POST /v1/responses/input_tokens": InputTokensRequest,
    "POST /v1/messages": MessageRequest,
    "POST /v1/messages/count_tokens": CountRequest,
}
HEAD = """\
# Compatibility

What becomes of each field that the official clients can send (`openai` {openai}, `anthropic`
{anthropic}). A test compares this page with the clients' own types and with the code: no field is
missing, and none is ignored in silence.
"""


def page(official: Mapping[str, Iterable[str]], versions: Mapping[str, str]) -> str:
    """docs/compatibility.md. official: fields by route, from the clients' types.

    Raises KeyError for a field that the server neither honours nor refuses by name.
    """
    parts = [HEAD.format(**versions)]
    for route, request in REQUESTS.items():
        lines = [f"## {route}", "", "| field | |", "|---|---|"]
        names = sorted(set(official[route]))
        lines += [f"| `{name}` | {_said(request, name)} |" for name in names]
        more = sorted(set(request.model_fields) - set(names))
        if more:
            lines += ["", "Beyond the API: " + ", ".join(f"`{name}`" for name in more) + "."]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _said(request: type[Asked], name: str) -> str:
    if name in request.refused:
        neutral = " or ".join(f"`{json.dumps(value)}`" for value in request.neutral.get(name, ()))
        return f"refused{f', but for {neutral}' if neutral else ''}: {request.refused[name]}"
    field = request.model_fields[name]
    if field.description == NO_EFFECT:
        return NO_EFFECT
    return "honoured" + (f": {field.description}" if field.description else "")
