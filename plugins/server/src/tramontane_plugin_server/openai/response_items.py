"""The items that a response's input is made of."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
)

from .fields import NO_EFFECT, RequestBody

Identity: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]
ASYNC = {"async": "calls made by programs are not supported"}
Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class Part(RequestBody):
    """A piece of a message."""


class InputText(Part):
    type: Literal["input_text"]
    text: str
    prompt_cache_breakpoint: dict[str, Any] | None = Field(None, description=NO_EFFECT)


class InputImage(Part):
    """An image; for models that take any."""

    refused: ClassVar[Mapping[str, str]] = {
        "file_id": "this server stores no files; send image_url with a data: URL"
    }

    type: Literal["input_image"]
    image_url: str = Field(
        min_length=1, description="a data: URL in base64, or an address, where it is fetched"
    )
    detail: str | None = Field(None, description=NO_EFFECT)
    prompt_cache_breakpoint: dict[str, Any] | None = Field(None, description=NO_EFFECT)


class InputFile(Part):
    """A file with an image, a sound or a video; for models that take any."""

    refused: ClassVar[Mapping[str, str]] = {
        "file_id": "this server stores no files; send file_data with a data: URL"
    }

    type: Literal["input_file"]
    file_data: str | None = Field(None, min_length=1, description="a data: URL in base64")
    file_url: str | None = Field(None, min_length=1, description="an address, where it is fetched")
    filename: str | None = Field(None, description="says of what type it is, if file_data does not")
    detail: str | None = Field(None, description=NO_EFFECT)
    prompt_cache_breakpoint: dict[str, Any] | None = Field(None, description=NO_EFFECT)


class AudioData(RequestBody):
    data: str = Field(min_length=1, description="a file in base64")
    format: str | None = Field(None, max_length=64, description=NO_EFFECT)


class InputAudio(Part):
    """A sound; for models that take any."""

    type: Literal["input_audio"]
    input_audio: AudioData


class OutputText(Part):
    type: Literal["output_text"]
    text: str
    annotations: list[dict[str, Any]] | None = Field(None, description=NO_EFFECT)
    logprobs: list[dict[str, Any]] | None = Field(None, description=NO_EFFECT)


class Refusal(Part):
    """A refusal of the model."""

    type: Literal["refusal"]
    refusal: str


class ReasoningText(Part):
    type: Literal["reasoning_text", "summary_text"]
    text: str


Content: TypeAlias = Annotated[
    InputText | InputImage | InputAudio | InputFile | OutputText | Refusal,
    Field(discriminator="type"),
]
Shown: TypeAlias = Annotated[InputText | InputImage | InputFile, Field(discriminator="type")]


Parts: TypeAlias = Annotated[list[Content], Field(min_length=1)]


def _parts(value: Any) -> Any:
    return [{"type": "input_text", "text": value}] if isinstance(value, str) else value


class Item(RequestBody):
    """Fields of all items."""

    id: Identity | None = Field(None, description="absent: the server chooses one")
    status: Status | None = Field(None, description=NO_EFFECT)

    def stored(self, prefix: str) -> dict[str, Any]:
        """The item as it is listed later."""
        found = self.model_dump(exclude_none=True)
        return {**found, "id": self.id or f"{prefix}_{uuid.uuid4().hex}", "status": "completed"}


class MessageItem(Item):
    """A message of the user, the assistant or the system."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Annotated[
        list[Content], BeforeValidator(_parts, json_schema_input_type=str | Parts)
    ] = Field(min_length=1)
    phase: Literal["commentary", "final_answer"] | None = Field(None, description=NO_EFFECT)

    def item(self) -> dict[str, Any]:
        """The item as it is listed: text of the assistant is output, whoever sent it."""
        found = self.stored("msg")
        if self.role == "assistant":
            kinds = ("input_text", "output_text")
            texts = [part for part in found["content"] if part["type"] in kinds]
            for part in texts:
                part.setdefault("annotations", [])
                part["type"] = "output_text"
        return found


class CallItem(Item):
    """An earlier tool call."""

    refused: ClassVar[Mapping[str, str]] = ASYNC
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {"async": (False,)}

    type: Literal["function_call"]
    call_id: Identity
    name: Identity
    namespace: Identity | None = Field(
        None, description="the namespace of the function, as in tools"
    )
    arguments: str = Field(description="JSON")
    caller: dict[str, Any] | None = Field(None, description=NO_EFFECT)

    def item(self) -> dict[str, Any]:
        return self.stored("fc")


class CallOutputItem(Item):
    """The result of an earlier tool call."""

    type: Literal["function_call_output"]
    call_id: Identity
    name: str | None = Field(None, description=NO_EFFECT)
    namespace: str | None = Field(None, description=NO_EFFECT)
    output: str | list[Shown]
    caller: dict[str, Any] | None = Field(None, description=NO_EFFECT)

    def item(self) -> dict[str, Any]:
        return self.stored("fco")


class CustomCallItem(Item):
    """An earlier call of a tool that takes a text; the model is shown it as a function's."""

    refused: ClassVar[Mapping[str, str]] = ASYNC
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {"async": (False,)}

    type: Literal["custom_tool_call"]
    call_id: Identity
    name: Identity
    namespace: Identity | None = Field(None, description="the namespace of the tool, as in tools")
    input: str
    caller: dict[str, Any] | None = Field(None, description=NO_EFFECT)

    def item(self) -> dict[str, Any]:
        return self.stored("ctc")


class CustomOutputItem(Item):
    """What such a tool answered."""

    type: Literal["custom_tool_call_output"]
    call_id: Identity
    output: str | list[Shown]
    caller: dict[str, Any] | None = Field(None, description=NO_EFFECT)

    def item(self) -> dict[str, Any]:
        return self.stored("ctco")


class ReasoningItem(Item):
    """Reasoning of an earlier turn; the chat template decides whether the model sees it."""

    type: Literal["reasoning"]
    summary: list[ReasoningText] = Field(default_factory=list)
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = Field(None, description=NO_EFFECT)

    def item(self) -> dict[str, Any]:
        return self.stored("rs")


class BuiltInCallItem(Item):
    """An earlier call of a tool of the server's; the model is not shown it again."""

    type: Literal["web_search_call", "code_interpreter_call"]
    status: Status | Literal["failed", "searching", "interpreting"] | None = Field(  # type: ignore[assignment]
        None, description=NO_EFFECT
    )
    action: dict[str, Any] | None = Field(None, description=NO_EFFECT)
    code: str | None = Field(None, description=NO_EFFECT)
    container_id: str | None = Field(None, description=NO_EFFECT)
    outputs: list[dict[str, Any]] | None = Field(None, description=NO_EFFECT)

    def item(self) -> dict[str, Any]:
        return self.stored("ws" if self.type == "web_search_call" else "ci")


def _kind(value: Any) -> str | None:
    """The type of an item; that of a message may be left out."""
    if isinstance(value, dict):
        found = value.get("type", "message" if "role" in value else None)
    else:
        found = getattr(value, "type", None)
    return found if isinstance(found, str) else None


AnyItem: TypeAlias = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[CallItem, Tag("function_call")]
    | Annotated[CallOutputItem, Tag("function_call_output")]
    | Annotated[CustomCallItem, Tag("custom_tool_call")]
    | Annotated[CustomOutputItem, Tag("custom_tool_call_output")]
    | Annotated[BuiltInCallItem, Tag("web_search_call")]
    | Annotated[BuiltInCallItem, Tag("code_interpreter_call")]
    | Annotated[ReasoningItem, Tag("reasoning")],
    Discriminator(
        _kind,
        custom_error_type="item_type",
        custom_error_message="the type of an item should be message, function_call,"
        " function_call_output, custom_tool_call, custom_tool_call_output, web_search_call,"
        " code_interpreter_call or reasoning",
    ),
]


def _one_message(value: Any) -> Any:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


MAX_ITEMS = 10_000
Items: TypeAlias = Annotated[list[AnyItem], Field(max_length=MAX_ITEMS)]
Input: TypeAlias = Annotated[
    list[AnyItem], BeforeValidator(_one_message, json_schema_input_type=str | Items)
]
