"""Tools and the form of answers, in OpenAI's chat API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from tramontane.grammar import Grammar
from tramontane.toolbox import Function as Runs
from tramontane.toolbox import Toolbox
from tramontane.tools import Tool

TOOL_NAME = "^[A-Za-z0-9_.:/-]+$"
Name = Annotated[
    str,
    # the pattern is checked by core, which also sees the names of the server's own tools
    Field(min_length=1, max_length=128, json_schema_extra={"pattern": TOOL_NAME}),
]
MOST_TOOLS = 512


class Strict(BaseModel):
    """No field that is not known, no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Function(Strict):
    """A function that the model may call."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = Field(None, description="JSON schema of its arguments")
    strict: bool | None = Field(None, description="make other arguments impossible")

    def tool(self) -> Tool:
        """As core has it."""
        return Tool(
            name=self.name,
            description=self.description or "",
            parameters=self.parameters or {},
            strict=bool(self.strict),
        )


class FunctionTool(Strict):
    type: Literal["function"]
    function: Function


class NamedFunction(Strict):
    name: Name


class NamedTool(Strict):
    type: Literal["function"]
    function: NamedFunction


class Allowed(Strict):
    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1, max_length=MOST_TOOLS)


class AllowedTools(Strict):
    type: Literal["allowed_tools"]
    allowed_tools: Allowed


ToolChoice = Literal["none", "auto", "required"] | NamedTool | AllowedTools


class TextFormat(Strict):
    type: Literal["text"]


class ObjectFormat(Strict):
    type: Literal["json_object"]


class SchemaOf(Strict):
    """A JSON schema; it is kept to whether or not `strict` is said."""

    name: str = Field(max_length=128)
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class SchemaFormat(Strict):
    type: Literal["json_schema"]
    json_schema: SchemaOf


class FlatSchemaFormat(SchemaOf):
    """The same as the responses API has it."""

    type: Literal["json_schema"]


ResponseFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]


def grammar_of(
    form: TextFormat | ObjectFormat | SchemaFormat | FlatSchemaFormat | None,
) -> Grammar | None:
    """What keeps an answer to a form."""
    match form:
        case ObjectFormat():
            return Grammar(type="json_object")
        case SchemaFormat():
            return Grammar(type="json_schema", value=form.json_schema.schema_)
        case FlatSchemaFormat():
            return Grammar(type="json_schema", value=form.schema_)
    return None


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
