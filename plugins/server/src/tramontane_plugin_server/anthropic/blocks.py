"""The blocks that a message's content is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from tramontane_plugin_server.openai.fields import NO_EFFECT, RequestBody

Identity: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]


class CacheControl(RequestBody):
    """A cache breakpoint; it has no effect, as every prompt is cached while there is space."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Block(RequestBody):
    """Fields of all kinds of blocks."""

    cache_control: CacheControl | None = Field(None, description=NO_EFFECT)


class TextBlock(Block):
    type: Literal["text"]
    text: str
    citations: list[dict[str, Any]] | None = Field(None, description=NO_EFFECT)


class Base64Source(RequestBody):
    """The bytes of an image."""

    type: Literal["base64"]
    media_type: str = Field(max_length=64)
    data: str


class UrlSource(RequestBody):
    """An image's address: a data: URL, or one of the web, where it is fetched."""

    type: Literal["url"]
    url: str


class ImageBlock(Block):
    """An image; for models that take any."""

    refused: ClassVar[Mapping[str, str]] = {
        "transformations": "each model scales images as its processor does; scale the image"
        " before you send it"
    }
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {
        "transformations": ({}, {"oversized_image": "downsize"})
    }

    type: Literal["image"]
    source: Annotated[Base64Source | UrlSource, Field(discriminator="type")]

    def part(self) -> dict[str, Any]:
        """As a part of a message."""
        return {"type": "image", "source": self.source.model_dump()}


class ThinkingBlock(Block):
    """Reasoning of an earlier turn; the chat template decides whether the model sees it."""

    type: Literal["thinking"]
    thinking: str
    signature: str | None = Field(None, description=NO_EFFECT)


class RedactedThinkingBlock(Block):
    """Encrypted thinking; it is not shown to the model."""

    type: Literal["redacted_thinking"]
    data: str = Field("", description=NO_EFFECT)


class ToolUseBlock(Block):
    """An earlier tool call."""

    type: Literal["tool_use"]
    id: Identity
    name: Identity
    input: dict[str, Any]
    caller: dict[str, Any] | None = Field(None, description=NO_EFFECT)
    toolset_name: None = None


class ServerToolUseBlock(Block):
    """An earlier call of a tool of the server's; the model is not shown it again."""

    type: Literal["server_tool_use"]
    id: Identity
    name: Identity
    input: dict[str, Any] = Field(default_factory=dict)
    caller: dict[str, Any] | None = Field(None, description=NO_EFFECT)


class ServerToolResultBlock(Block):
    """Its result; the model is not shown it again."""

    type: Literal["web_search_tool_result", "code_execution_tool_result"]
    tool_use_id: Identity
    content: dict[str, Any] | list[dict[str, Any]]
    caller: dict[str, Any] | None = Field(None, description=NO_EFFECT)


def text_blocks(value: Any) -> Any:
    """A string as a list of text blocks."""
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


Texts: TypeAlias = Annotated[
    list[TextBlock], BeforeValidator(text_blocks, json_schema_input_type=str | list[TextBlock])
]


Shown: TypeAlias = Annotated[TextBlock | ImageBlock, Field(discriminator="type")]


class ToolResultBlock(Block):
    """The result of an earlier tool call."""

    type: Literal["tool_result"]
    tool_use_id: Identity
    content: Annotated[
        list[Shown], BeforeValidator(text_blocks, json_schema_input_type=str | list[Shown])
    ] = Field(default_factory=list)
    is_error: bool | None = Field(None, description="prefixes the content with 'Error: '")
    toolset_name: None = None


UserBlock: TypeAlias = Annotated[
    TextBlock | ImageBlock | ToolResultBlock, Field(discriminator="type")
]
AssistantBlock: TypeAlias = Annotated[
    TextBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ServerToolUseBlock
    | ServerToolResultBlock,
    Field(discriminator="type"),
]
UserBlocks: TypeAlias = Annotated[
    list[UserBlock], BeforeValidator(text_blocks, json_schema_input_type=str | list[UserBlock])
]
AssistantBlocks: TypeAlias = Annotated[
    list[AssistantBlock],
    BeforeValidator(text_blocks, json_schema_input_type=str | list[AssistantBlock]),
]
