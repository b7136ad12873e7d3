"""Tools and the form of answers, in OpenAI's chat API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, InstanceOf
from tramontane.chat.toolbox import Function as Runs
from tramontane.chat.toolbox import Toolbox
from tramontane.grammar import Grammar
from tramontane.tools import Tool

from .fields import Asked

TOOL_NAME = "^[A-Za-z0-9_.:/-]+$"
Name = Annotated[
    str,
    # the pattern is checked by core, which also sees the names of the server's own tools
    Field(min_length=1, max_length=128, json_schema_extra={"pattern": TOOL_NAME}),
]
MOST_TOOLS = 512


class Function(Asked):
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


class FunctionTool(Asked):
    type: Literal["function"]
    function: Function

    def tool(self) -> Tool:
        """The tool of `tramontane.tools`."""
        return self.function.tool()


class OtherTool(Asked):
    """A tool of an unsupported type, which is not shown to the model."""

    type: str


class LeftOut(Asked):
    """A tool, or another object, of an unsupported type, which is ignored unless --strict-fields.

    what: how to name it. why: what to say where the server is to refuse it.
    """

    what: str
    why: str


def tool_or_not(value: Any, known: Sequence[str | None], why: str) -> Any:
    """A tool as it is, or LeftOut in its place if it is of another type than those known."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind in known or not isinstance(kind, str):
        return value
    return LeftOut(
        what=f"type={kind[:64]}", why=f"a tool of type {kind[:64]!r} is not supported: {why}"
    )


FUNCTIONS_ONLY = "only functions, which the client runs, are supported"


def _function(value: Any) -> Any:
    return tool_or_not(value, (None, "function"), FUNCTIONS_ONLY)


AnyTool = Annotated[
    FunctionTool | InstanceOf[LeftOut],
    BeforeValidator(_function, json_schema_input_type=FunctionTool | OtherTool),
]


class NamedFunction(Asked):
    name: Name


class NamedTool(Asked):
    type: Literal["function"]
    function: NamedFunction


class Allowed(Asked):
    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1, max_length=MOST_TOOLS)


class AllowedTools(Asked):
    type: Literal["allowed_tools"]
    allowed_tools: Allowed


ToolChoice = Literal["none", "auto", "required"] | NamedTool | AllowedTools


class TextFormat(Asked):
    type: Literal["text"]


class ObjectFormat(Asked):
    type: Literal["json_object"]


class SchemaOf(Asked):
    """A JSON schema; it is kept to whether or not `strict` is said."""

    name: str = Field(max_length=128)
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class SchemaFormat(Asked):
    type: Literal["json_schema"]
    json_schema: SchemaOf


class FlatSchemaFormat(SchemaOf):
    """The same as the responses API has it."""

    type: Literal["json_schema"]


ResponseFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]


def grammar_of(
    form: TextFormat | ObjectFormat | SchemaFormat | FlatSchemaFormat | None,
) -> Grammar | None:
    """The grammar that enforces a format."""
    match form:
        case ObjectFormat():
            return Grammar(type="json_object")
        case SchemaFormat():
            return Grammar(type="json_schema", value=form.json_schema.schema_)
        case FlatSchemaFormat():
            return Grammar(type="json_schema", value=form.schema_)
    return None


def tools_of(tools: Sequence[Any] | None) -> list[Tool]:
    """The supported tools of a request."""
    return [tool.tool() for tool in tools or () if not isinstance(tool, LeftOut)]


def together(theirs: Sequence[Tool], ours: Sequence[Runs]) -> list[Tool | Runs]:
    """A request's tools and the server's. Of one name ours runs the call of theirs."""
    run = {function.tool.name: function for function in ours}
    # taken out: two of theirs that have one name are an error
    return [*(run.pop(tool.name, tool) for tool in theirs), *run.values()]


def toolbox_of(
    tools: Sequence[Tool | Runs],
    choice: str,
    parallel: bool,
    allowed: Sequence[str] | None = None,
) -> Toolbox:
    """The tools of a request. choice: none, auto, required, or a tool's name.

    allowed: names of those that may be called, if not all. Raises RequestError for an unknown one.
    """
    if allowed is None:
        return Toolbox(tools, choice, parallel)
    among = Toolbox(tools, allowed, parallel)  # says which name is unknown
    if choice == "auto":
        return among
    kept = [t for t in tools if (t.tool if isinstance(t, Runs) else t).name in allowed]
    return Toolbox(kept, choice, parallel)
