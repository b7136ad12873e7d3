"""From a request's messages to those of chat templates."""

from __future__ import annotations

import json

from tramontane_plugin_server.conversation import (
    Message,
    Piece,
    call,
    called,
    message_of,
    pieces_of,
)

from .blocks import ImageBlock, TextBlock, ThinkingBlock, ToolResultBlock, ToolUseBlock
from .message_request import AssistantMessage, CountRequest, SystemMessage, UserMessage

BILLING = "x-anthropic-billing-header:"


def conversation(body: CountRequest) -> list[Message]:
    """The messages of a request for the chat template; adjacent ones of one role are merged."""
    found: list[Message] = []
    system = _system(body)
    if any(system):
        found.append(message_of("system", system))
    for message in body.messages:
        match message:
            case SystemMessage():
                _join(found, message_of("system", [block.text for block in message.content]))
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
    pieces: list[Piece] = []
    for block in message.content:
        match block:
            case TextBlock():
                pieces.append(block.text)
            case ImageBlock():
                pieces.append(block.part())
            case ToolResultBlock():
                if pieces:
                    _join(found, message_of("user", pieces))
                    pieces = []
                found.append({
                    **_result(block), "tool_call_id": block.tool_use_id,
                    **called(block.tool_use_id, found),
                })  # fmt: skip
    if pieces or not message.content:
        _join(found, message_of("user", pieces or [""]))


def _result(block: ToolResultBlock) -> Message:
    said = "\n".join(part.text for part in block.content if isinstance(part, TextBlock))
    said = f"Error: {said}" if block.is_error else said
    images = [part.part() for part in block.content if isinstance(part, ImageBlock)]
    return message_of("tool", [said, *images] if said or not images else images)


def _assistant(found: list[Message], message: AssistantMessage) -> None:
    texts = [block.text for block in message.content if isinstance(block, TextBlock)]
    one = message_of("assistant", texts or [""])
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
        found[-1] = message_of(message["role"], [*pieces_of(last), *pieces_of(message)])
    else:
        found.append(message)
