"""The blocks that a message's content is made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from tramontane_plugin_server.openai.fields import NO_EFFECT, Asked

Identity: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]


class CacheControl(Asked):
    """Where a prompt is worth keeping: here every prompt is kept while there is room."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Block(Asked):
    """What all kinds may carry."""

    cache_control: CacheControl | None = Field(None, description=NO_EFFECT)


class TextBlock(Block):
    type: Literal["text"]
    text: str
    citations: list[dict[str, Any]] | None = Field(None, description=NO_EFFECT)


class ThinkingBlock(Block):
    """What the model thought before an earlier answer; the chat template may show it."""

    type: Literal["thinking"]
    thinking: str
    signature: str | None = Field(None, description=NO_EFFECT)


class RedactedThinkingBlock(Block):
    """Thinking that nobody here can read: it is not shown to the model."""

    type: Literal["redacted_thinking"]
    data: str = Field("", description=NO_EFFECT)


class ToolUseBlock(Block):
    """An earlier call of a tool."""

    type: Literal["tool_use"]
    id: Identity
    name: Identity
    input: dict[str, Any]
    caller: dict[str, Any] | None = Field(None, description=NO_EFFECT)
    toolset_name: None = None


def text_blocks(value: Any) -> Any:
    """A text as blocks."""
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


Texts: TypeAlias = Annotated[
    list[TextBlock], BeforeValidator(text_blocks, json_schema_input_type=str | list[TextBlock])
]


class ToolResultBlock(Block):
    """What a tool answered to an earlier call."""

    type: Literal["tool_result"]
    tool_use_id: Identity
    content: Texts = Field(default_factory=list)
    is_error: bool | None = Field(None, description="puts 'Error: ' before the content")
    toolset_name: None = None


UserBlock: TypeAlias = Annotated[TextBlock | ToolResultBlock, Field(discriminator="type")]
AssistantBlock: TypeAlias = Annotated[
    TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock, Field(discriminator="type")
]
UserBlocks: TypeAlias = Annotated[
    list[UserBlock], BeforeValidator(text_blocks, json_schema_input_type=str | list[UserBlock])
]
AssistantBlocks: TypeAlias = Annotated[
    list[AssistantBlock],
    BeforeValidator(text_blocks, json_schema_input_type=str | list[AssistantBlock]),
]
