"""Tools and the form of answers, in OpenAI's chat API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from tramontane.grammar import Grammar
from tramontane.toolbox import Function as Runs
from tramontane.toolbox import Toolbox
from tramontane.tools import Tool

Name = Annotated[str, Field(min_length=1, max_length=128)]
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


ResponseFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]


def grammar_of(form: TextFormat | ObjectFormat | SchemaFormat | None) -> Grammar | None:
    """What keeps an answer to a form."""
    match form:
        case ObjectFormat():
            return Grammar(type="json_object")
        case SchemaFormat():
            return Grammar(type="json_schema", value=form.json_schema.schema_)
    return None


def toolbox_of(
    tools: Sequence[Tool | Runs],
    choice: Literal["none", "auto", "required"] | str | Allowed,
    parallel: bool,
) -> Toolbox:
    """The tools of a request. choice: a word, a tool's name, or those that are allowed.

    Raises RequestError for a choice that is none of the tools.
    """
    if isinstance(choice, Allowed):
        names = [tool.function.name for tool in choice.tools]
        if choice.mode == "auto":
            return Toolbox(tools, names, parallel)
        Toolbox(tools, names)  # says which name is unknown
        allowed = [t for t in tools if (t.tool if isinstance(t, Runs) else t).name in names]
        return Toolbox(allowed, "required", parallel)
    return Toolbox(tools, choice, parallel)
