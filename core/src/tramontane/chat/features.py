"""What a chat template can do: roles, by rendering small chats, and the variables that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import meta

from tramontane.errors import TramontaneError

from .functions import chat_environment
from .template import ChatTemplate

GIVEN = {"messages", "add_generation_prompt", "bos_token", "eos_token", "unk_token", "pad_token"}
"""Variables that every template may read."""
TEXT = "xyzzy7"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look.",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
    },
}


def variables(source: str) -> set[str]:
    """Names that the template reads and a caller may set. Raises jinja2's errors of syntax."""
    environment = chat_environment(datetime.now)
    found = meta.find_undeclared_variables(environment.parse(source))
    return found - GIVEN - environment.globals.keys()


def roles(source: str, named: Mapping[str, str]) -> list[str]:
    """The roles whose texts are part of the prompt. Raises TemplateError for a broken template."""
    template = ChatTemplate(source, named=named)
    user = _message("user", "?")
    call = {"id": "call00001", "type": "function", "function": {"name": "look", "arguments": {}}}
    calling = {"role": "assistant", "content": "", "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "call00001", "name": "look", "content": TEXT}
    chats = {
        "system": [_message("system", TEXT), user],
        "user": [_message("user", TEXT)],
        "assistant": [user, _message("assistant", TEXT), user],
        "tool": [user, calling, result],
    }
    return [role for role, chat in chats.items() if _writes(template, chat, role == "tool")]


def _writes(template: ChatTemplate, chat: list[dict[str, Any]], tools: bool) -> bool:
    try:
        return TEXT in template.render(chat, tools=[TOOL] if tools else None)
    except TramontaneError:
        return False


def _message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}
