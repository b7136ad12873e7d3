"""Tools and response formats of OpenAI's chat API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, InstanceOf
from tramontane.chat.toolbox import Function as ToolFunction
from tramontane.chat.toolbox import Toolbox
from tramontane.grammar import Grammar
from tramontane.tools import Tool

from .fields import RequestBody

TOOL_NAME = "^[A-Za-z0-9_.:/-]+$"
Name = Annotated[
    str,
    # the pattern is checked by core, which also sees the names of the server's own tools
    Field(min_length=1, max_length=128, json_schema_extra={"pattern": TOOL_NAME}),
]
MAX_TOOLS = 512


class Function(RequestBody):
    """A function that the model may call."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = Field(None, description="JSON schema of its arguments")
    strict: bool | None = Field(None, description="enforce the schema")

    def tool(self) -> Tool:
        """The tool of `tramontane.tools`."""
        return Tool(
            name=self.name,
            description=self.description or "",
            parameters=self.parameters or {},
            strict=bool(self.strict),
        )


class FunctionTool(RequestBody):
    type: Literal["function"]
    function: Function

    def tool(self) -> Tool:
        """The tool of `tramontane.tools`."""
        return self.function.tool()


class OtherTool(RequestBody):
    """A tool of an unsupported type, which is not shown to the model."""

    type: str


class UnsupportedTool(RequestBody):
    """A tool, or another object, of an unsupported type, which is ignored unless --strict-fields.

    what: how to name it. why: what to say where the server is to refuse it.
    """

    what: str
    why: str


def supported_tool(value: Any, known: Sequence[str | None], why: str) -> Any:
    """A tool as it is, or LeftOut in its place if it is of another type than those known."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind in known or not isinstance(kind, str):
        return value
    return UnsupportedTool(
        what=f"type={kind[:64]}", why=f"a tool of type {kind[:64]!r} is not supported: {why}"
    )


FUNCTIONS_ONLY = "only functions, which the client runs, are supported"


def _function(value: Any) -> Any:
    return supported_tool(value, (None, "function"), FUNCTIONS_ONLY)


AnyTool = Annotated[
    FunctionTool | InstanceOf[UnsupportedTool],
    BeforeValidator(_function, json_schema_input_type=FunctionTool | OtherTool),
]


class NamedFunction(RequestBody):
    name: Name


class NamedTool(RequestBody):
    type: Literal["function"]
    function: NamedFunction


class Allowed(RequestBody):
    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1, max_length=MAX_TOOLS)


class AllowedTools(RequestBody):
    type: Literal["allowed_tools"]
    allowed_tools: Allowed


ToolChoice = Literal["none", "auto", "required"] | NamedTool | AllowedTools


class TextFormat(RequestBody):
    type: Literal["text"]


class ObjectFormat(RequestBody):
    type: Literal["json_object"]


class SchemaOf(RequestBody):
    """A JSON schema, which is enforced with or without `strict`."""

    name: str = Field(max_length=128)
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class SchemaFormat(RequestBody):
    type: Literal["json_schema"]
    json_schema: SchemaOf


class FlatSchemaFormat(SchemaOf):
    """The flat form of the responses API."""

    type: Literal["json_schema"]


ResponseFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]


def grammar_of(
    answer_format: TextFormat | ObjectFormat | SchemaFormat | FlatSchemaFormat | None,
) -> Grammar | None:
    """The grammar that enforces a format."""
    match answer_format:
        case ObjectFormat():
            return Grammar(type="json_object")
        case SchemaFormat():
            return Grammar(type="json_schema", value=answer_format.json_schema.schema_)
        case FlatSchemaFormat():
            return Grammar(type="json_schema", value=answer_format.schema_)
    return None


def tools_of(tools: Sequence[Any] | None) -> list[Tool]:
    """The supported tools of a request."""
    return [tool.tool() for tool in tools or () if not isinstance(tool, UnsupportedTool)]


def merge_tools(
    client_tools: Sequence[Tool], registered: Sequence[ToolFunction]
) -> list[Tool | ToolFunction]:
    """The tools of a request and those of the server, which run calls of tools of the same name."""
    run = {function.tool.name: function for function in registered}
    # popped: a name that the client gives twice is an error
    return [*(run.pop(tool.name, tool) for tool in client_tools), *run.values()]


def toolbox_of(
    tools: Sequence[Tool | ToolFunction],
    choice: str,
    parallel: bool,
    allowed: Sequence[str] | None = None,
) -> Toolbox:
    """The tools of a request. choice: none, auto, required, or a tool's name.

    allowed: names of those that may be called, if not all. Raises RequestError for an unknown one.
    """
    if allowed is None:
        return Toolbox(tools, choice, parallel)
    restricted = Toolbox(tools, allowed, parallel)  # says which name is unknown
    if choice == "auto":
        return restricted
    allowed_tools = [
        t for t in tools if (t.tool if isinstance(t, ToolFunction) else t).name in allowed
    ]
    return Toolbox(allowed_tools, choice, parallel)
