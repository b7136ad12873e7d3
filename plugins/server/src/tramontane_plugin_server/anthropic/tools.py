"""Tools, tool choice, thinking and output formats of the messages API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field, InstanceOf
from tramontane.chat.toolbox import Function, Toolbox
from tramontane.grammar import Grammar
from tramontane.tools import Tool

from tramontane_plugin_server.openai.fields import NO_EFFECT, RequestBody
from tramontane_plugin_server.openai.tool_fields import (
    Name,
    OtherTool,
    UnsupportedTool,
    supported_tool,
)

from .blocks import Block


class ClientTool(Block):
    """A tool that the model may call and the client runs."""

    refused: ClassVar[Mapping[str, str]] = {
        "input_examples": "examples are not shown to the model; put them into the description",
    }
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {"input_examples": ([],)}

    type: Literal["custom"] | None = None
    name: Name
    description: str | None = None
    input_schema: dict[str, Any] = Field(description="JSON schema of its input, an object")
    strict: bool | None = Field(None, description="enforce the schema")
    allowed_callers: list[Literal["direct"]] | None = Field(None, description=NO_EFFECT)
    defer_loading: Literal[False] | None = Field(None, description=NO_EFFECT)
    eager_input_streaming: bool | None = Field(None, description=NO_EFFECT)

    def tool(self) -> Tool:
        """The tool of `tramontane.tools`."""
        return Tool(
            name=self.name,
            description=self.description or "",
            parameters=self.input_schema,
            strict=bool(self.strict),
        )


def _clients(value: Any) -> Any:
    return supported_tool(
        value,
        (None, "custom"),
        "only tools with an input_schema, which the client runs, are supported",
    )


AnyTool: TypeAlias = Annotated[
    ClientTool | InstanceOf[UnsupportedTool],
    BeforeValidator(_clients, json_schema_input_type=ClientTool | OtherTool),
]


class NoneChoice(RequestBody):
    type: Literal["none"]


class AnyChoice(RequestBody):
    """auto: call tools or not. any: call one."""

    type: Literal["auto", "any"]
    disable_parallel_tool_use: bool | None = Field(None, description="at most one call")


class NamedChoice(RequestBody):
    type: Literal["tool"]
    name: Name
    disable_parallel_tool_use: bool | None = Field(None, description="at most one call")


ToolChoice: TypeAlias = Annotated[NoneChoice | AnyChoice | NamedChoice, Field(discriminator="type")]


def toolbox_of(
    found: Sequence[Tool | Function], choice: NoneChoice | AnyChoice | NamedChoice | None
) -> Toolbox:
    """The tools that may be called. Raises RequestError for a choice that is none of them."""
    match choice:
        case NoneChoice():
            return Toolbox(found, "none")
        case AnyChoice(type=kind, disable_parallel_tool_use=single):
            return Toolbox(found, "required" if kind == "any" else "auto", not single)
        case NamedChoice(name=name, disable_parallel_tool_use=single):
            return Toolbox(found, name, not single)
    return Toolbox(found)


class ThinkingOff(RequestBody):
    type: Literal["disabled"]


class ThinkingOn(RequestBody):
    """Thinking in blocks of its own; adaptive: the model decides how long it is."""

    refused: ClassVar[Mapping[str, str]] = {
        "block_binding": "this server does not sign thinking",
    }
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {"block_binding": ({},)}

    type: Literal["adaptive"]
    display: Literal["summarized", "omitted"] | None = Field(
        None,
        description="omitted: thinking blocks are empty; otherwise they are complete",
    )


class ThinkingWithin(ThinkingOn):
    """Thinking within a budget."""

    type: Literal["enabled"]  # type: ignore[assignment]
    budget_tokens: int = Field(
        ge=1,
        description="passed to the chat template as thinking_budget; only max_tokens is enforced",
    )


Thinking: TypeAlias = Annotated[
    ThinkingOff | ThinkingOn | ThinkingWithin, Field(discriminator="type")
]


class JsonFormat(RequestBody):
    """JSON with an enforced schema."""

    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")

    def grammar(self) -> Grammar:
        """The grammar that enforces it."""
        return Grammar(type="json_schema", value=self.schema_)
