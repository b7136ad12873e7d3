"""The one form of a chat, as users of transformers are asked to write it, template by template.

null content of an assistant or a tool is no text, parts that are texts are joined by newlines (a
user's stay parts where the template takes them), arguments are an object, empty ones `{}`, fields
that are null are absent, reasoning has all its names, and a tool's result has the tool's. What a
template takes in another way is listed, with the reason: these are all differences there are.
"""

import json
import re
from copy import deepcopy
from typing import Any

import pytest

from .real_templates import by_transformers

Chat = list[dict[str, Any]]

PARTS = {"role": "user", "content": [{"type": "text", "text": t} for t in ("one", "two")]}

PARTS_ALONE = ("parts alone", "mistral.rs idefics3.json")
"""They loop over content whatever it is, so every text is a part."""

TEXT_ARGUMENTS = (
    "text alone",
    "calls need null",
    "meetkai-functionary-medium-v3.2.jinja",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja",
)
"""They join arguments to a text, which fails for an object."""

CALLS_NEED_NULL = ("calls need null", "deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja")
"""They write calls where content is null, and drop them beside any text, even an empty one."""

DROP_BESIDE_TEXT = (*CALLS_NEED_NULL, "llama-cpp-deepseek-r1.jinja")
"""They drop calls beside a text. Here the text is a message of its own in front of them."""

DEVELOPERS = (
    "developers",
    "Reka-Edge.jinja",
    "deepseek-ai-DeepSeek-V3.2.jinja",
    "deepseek-ai-DeepSeek-V4.jinja",
    "google-gemma-4-31B-it.jinja",
    "google-gemma-4-31B-it-interleaved.jinja",
    "config gemma-4, tools=False",
    "openai-gpt-oss-120b.jinja",
    "config gpt-oss, tools=False",
)
"""They know the role developer; to others it is the system, which it was called before."""

TEXT_OR_THINKING = ("one of text and thinking", "openai-gpt-oss-120b.jinja")
"""They refuse `thinking` beside a text and calls, and write the text in its place."""


def normal(chat: Chat, name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> Chat:
    """The chat in the form that transformers' users are asked to bring it into."""
    found: Chat = []
    calls: dict[str, str] = {}
    for given in deepcopy(chat):
        message = {key: value for key, value in given.items() if value is not None}
        if message["role"] == "developer" and name not in DEVELOPERS:
            message["role"] = "system"
        content = message.setdefault("content", "")
        if isinstance(content, list) and not (
            message["role"] == "user" and takes_parts(source, monkeypatch)
        ):
            message["content"] = "\n".join(part["text"] for part in content)
        for key in ("reasoning_content", "reasoning", "thinking"):
            if key in message:
                both = ("reasoning_content", "reasoning", "thinking")
                message |= dict.fromkeys(both, message[key])
        if message["role"] == "tool":
            message.setdefault("name", calls[message["tool_call_id"]])
        if not message.get("tool_calls"):
            message.pop("tool_calls", None)
        else:
            calls |= {call["id"]: call["function"]["name"] for call in message["tool_calls"]}
            found += caller(message, name)
            continue
        found.append(message)
    if name in PARTS_ALONE:
        for message in found:
            if isinstance(message["content"], str):
                message["content"] = [{"type": "text", "text": message["content"]}]
    return found


def caller(message: dict[str, Any], name: str) -> Chat:
    """A message with calls; two where the template drops them beside a text."""
    for call in message["tool_calls"]:
        arguments = call["function"].get("arguments") or {}
        if isinstance(arguments, str):
            arguments = json.loads(arguments.strip() or "{}") or {}
        if name in TEXT_ARGUMENTS:
            arguments = json.dumps(arguments, ensure_ascii=False)
        call["function"]["arguments"] = arguments
    if message["content"] and "thinking" in message and name in TEXT_OR_THINKING:
        message["thinking"] = ""  # else transformers fills it in again
    empty = None if name in CALLS_NEED_NULL else ""
    if message["content"] and name in DROP_BESIDE_TEXT:
        calls = message.pop("tool_calls")
        return [message, {"role": "assistant", "content": empty, "tool_calls": calls}]
    return [message | {"content": message["content"] or empty}]


PRINTED = re.compile(r"""['"]type['"]: ['"]text['"]""")


def takes_parts(source: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a user's parts come through, and not as Python prints a list."""
    text = by_transformers(source, [PARTS], monkeypatch, tools=None)
    return text is not None and "one" in text and "two" in text and not PRINTED.search(text)
