"""From a request's messages to those of chat templates."""

from __future__ import annotations

import json

from tramontane_plugin_server.conversation import (
    Message,
    call,
    called,
    text_message,
    texts_of,
)

from .blocks import TextBlock, ThinkingBlock, ToolResultBlock, ToolUseBlock
from .message_request import AssistantMessage, CountRequest, SystemMessage, UserMessage

BILLING = "x-anthropic-billing-header:"


def conversation(body: CountRequest) -> list[Message]:
    """The messages of a request for the chat template; adjacent ones of one role are merged."""
    found: list[Message] = []
    system = _system(body)
    if any(system):
        found.append(text_message("system", system))
    for message in body.messages:
        match message:
            case SystemMessage():
                _join(found, text_message("system", [block.text for block in message.content]))
            case UserMessage():
                _user(found, message)
            case AssistantMessage():
                _assistant(found, message)
    return found


def _system(body: CountRequest) -> list[str]:
    """The texts of `system`, without a first line for billing, which differs in every request and
    would prevent prompt caching."""
    texts = [block.text for block in body.system or ()]
    if texts and texts[0].startswith(BILLING):
        rest = texts[0].partition("\n")[2]
        texts[:1] = [rest] if rest.strip() else []
    return texts


def _user(found: list[Message], message: UserMessage) -> None:
    texts: list[str] = []
    for block in message.content:
        match block:
            case TextBlock():
                texts.append(block.text)
            case ToolResultBlock():
                if texts:
                    _join(found, text_message("user", texts))
                    texts = []
                said = "\n".join(part.text for part in block.content)
                found.append({
                    "role": "tool", "tool_call_id": block.tool_use_id,
                    **called(block.tool_use_id, found),
                    "content": f"Error: {said}" if block.is_error else said,
                })  # fmt: skip
    if texts or not message.content:
        _join(found, text_message("user", texts or [""]))


def _assistant(found: list[Message], message: AssistantMessage) -> None:
    texts = [block.text for block in message.content if isinstance(block, TextBlock)]
    one = text_message("assistant", texts or [""])
    thoughts = [b.thinking for b in message.content if isinstance(b, ThinkingBlock)]
    if thoughts:
        one["reasoning_content"] = "\n".join(thoughts)
    calls = [
        call(block.id, block.name, json.dumps(block.input, ensure_ascii=False))
        for block in message.content
        if isinstance(block, ToolUseBlock)
    ]
    if calls:
        one["tool_calls"] = calls
    _join(found, one)


def _join(found: list[Message], message: Message) -> None:
    last = found[-1] if found else {"role": ""}
    plain = not {"tool_calls", "reasoning_content"} & (last.keys() | message.keys())
    if last["role"] == message["role"] and plain:
        found[-1] = text_message(message["role"], [*texts_of(last), *texts_of(message)])
    else:
        found.append(message)
