"""Context management: edits of a conversation that clear thinking and tool results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from tramontane_plugin_server.openai.fields import RequestBody, refuse

from .blocks import TextBlock, ThinkingBlock, ToolResultBlock, ToolUseBlock

CLEARED = "[cleared to make room]"
"""The replacement of a cleared tool result."""
PLACEHOLDER = {"type": "text", "text": CLEARED}


class Everything(RequestBody):
    type: Literal["all"]


class Turns(RequestBody):
    type: Literal["thinking_turns"]
    value: int = Field(ge=1)


class Tokens(RequestBody):
    type: Literal["input_tokens"]
    value: int = Field(ge=0)


class Uses(RequestBody):
    type: Literal["tool_uses"]
    value: int = Field(ge=0)


def _everything(value: Any) -> Any:
    return {"type": "all"} if value == "all" else value


Keep: TypeAlias = Annotated[
    Annotated[Everything | Turns, Field(discriminator="type")],
    BeforeValidator(_everything, json_schema_input_type=Literal["all"] | Everything | Turns),
]


class ClearThinking(RequestBody):
    """Clear thinking of all but the last turns; default: all but the last turn."""

    type: Literal["clear_thinking_20251015"]
    keep: Keep | None = None


class ClearToolUses(RequestBody):
    """Clear tool results of all but the last uses, once a threshold is exceeded."""

    type: Literal["clear_tool_uses_20250919"]
    trigger: Tokens | Uses | None = Field(None, description="default: 100000 input tokens")
    keep: Uses | None = Field(None, description="default: 3 tool uses")
    clear_at_least: Tokens | None = None
    exclude_tools: list[str] | None = None
    clear_tool_inputs: bool | list[str] | None = None


def _known(value: Any) -> Any:
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind not in (
        "clear_thinking_20251015",
        "clear_tool_uses_20250919",
    ):
        refuse("type", f"an edit of type {kind[:64]!r} is not supported; use"
               " clear_thinking_20251015 or clear_tool_uses_20250919")  # fmt: skip
    return value


Edit: TypeAlias = Annotated[
    Annotated[ClearThinking | ClearToolUses, Field(discriminator="type")],
    BeforeValidator(_known, json_schema_input_type=ClearThinking | ClearToolUses),
]


class ContextManagement(RequestBody):
    edits: list[Edit] = Field(default_factory=list, max_length=16)


@dataclass
class Edited:
    """messages: after the edits. applied: a record of each edit. original: tokens of the prompt
    before."""

    messages: list[Any]
    applied: list[dict[str, Any]]
    original: int


def edit_conversation(
    messages: Sequence[Any], edits: Sequence[Any], count: Callable[[Sequence[Any]], int]
) -> Edited:
    """The messages after all edits. count: returns the number of tokens of a prompt."""
    found = list(messages)
    before = original = count(found)
    applied: list[dict[str, Any]] = []
    for edit in edits:
        if isinstance(edit, ClearThinking):
            changed, cleared = _without_thinking(found, edit)
            record = {"type": edit.type, "cleared_thinking_turns": cleared}
        else:
            changed, cleared = _without_results(found, edit, before)
            record = {"type": edit.type, "cleared_tool_uses": cleared}
        if not cleared:
            continue
        after = count(changed)
        minimum = getattr(edit, "clear_at_least", None)
        if minimum is not None and before - after < minimum.value:
            continue
        applied.append({**record, "cleared_input_tokens": before - after})
        found, before = changed, after
    return Edited(found, applied, original)


def _without_thinking(messages: Sequence[Any], edit: ClearThinking) -> tuple[list[Any], int]:
    """The messages, and the number of turns whose thinking was cleared."""
    if isinstance(edit.keep, Everything):
        return list(messages), 0
    keep = 1 if edit.keep is None else edit.keep.value
    turn, turns = 0, []
    for message in messages:
        if message.role == "user" and any(isinstance(b, TextBlock) for b in message.content):
            turn += 1  # a tool result belongs to the turn of the call
        turns.append(turn)
    thinking = sorted({
        turn
        for turn, message in zip(turns, messages, strict=True)
        if any(isinstance(block, ThinkingBlock) for block in message.content)
    })  # fmt: skip
    cleared = set(thinking[:-keep])
    changed = [
        _with_content(message, [b for b in message.content if not isinstance(b, ThinkingBlock)])
        if turn in cleared and message.role == "assistant"
        else message
        for turn, message in zip(turns, messages, strict=True)
    ]
    return changed, len(cleared)


def _without_results(
    messages: Sequence[Any], edit: ClearToolUses, tokens: int
) -> tuple[list[Any], int]:
    """The messages, and the number of cleared tool uses. tokens: of the prompt."""
    uses = {use.id: use.name for use in _blocks(messages, ToolUseBlock)}
    answered = [result.tool_use_id for result in _blocks(messages, ToolResultBlock)]
    at_uses = isinstance(edit.trigger, Uses)
    threshold = 100_000 if edit.trigger is None else edit.trigger.value
    if (len(answered) if at_uses else tokens) <= threshold:
        return list(messages), 0
    keep = 3 if edit.keep is None else edit.keep.value
    old = answered[: max(0, len(answered) - keep)]
    excluded = edit.exclude_tools or ()
    cleared = {one for one in old if uses.get(one) not in excluded}
    inputs = edit.clear_tool_inputs

    def block(one: Any) -> Any:
        if isinstance(one, ToolResultBlock) and one.tool_use_id in cleared:
            return one.model_copy(update={"content": [TextBlock.model_validate(PLACEHOLDER)]})
        named = isinstance(one, ToolUseBlock) and one.id in cleared
        if named and (inputs is True or (isinstance(inputs, list) and one.name in inputs)):
            return one.model_copy(update={"input": {}})
        return one

    changed = [
        _with_content(message, [block(one) for one in message.content]) for message in messages
    ]
    return changed, len(cleared)


def _blocks(messages: Sequence[Any], kind: type) -> Iterator[Any]:
    return (block for one in messages for block in one.content if isinstance(block, kind))


def _with_content(message: Any, content: list[Any]) -> Any:
    return message.model_copy(update={"content": content})
