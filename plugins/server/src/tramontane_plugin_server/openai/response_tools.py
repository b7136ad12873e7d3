"""Tools and the form of answers, in OpenAI's responses API."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field
from tramontane.tools import Tool

from .fields import NO_EFFECT
from .tool_fields import (
    MOST_TOOLS,
    FlatSchemaFormat,
    Function,
    FunctionTool,
    Name,
    ObjectFormat,
    Strict,
    TextFormat,
)
from .tool_fields import NamedTool as ChatsNamedTool

FUNCTIONS_ONLY = "there are functions only, which are run by who asks"
Format: TypeAlias = Annotated[
    TextFormat | ObjectFormat | FlatSchemaFormat, Field(discriminator="type")
]


class FlatTool(Function):
    """A function that the model may call."""

    type: Literal["function"]
    strict: bool | None = Field(
        None, description="absent: other arguments are impossible as far as that can be enforced"
    )
    allowed_callers: list[Literal["direct"]] | None = Field(None, description=NO_EFFECT)
    defer_loading: Literal[False] | None = Field(None, description=NO_EFFECT)

    def tool(self) -> Tool:
        """As core has it: bound where nothing is said, as this API has it; false opts out."""
        return replace(super().tool(), bound=self.strict is None)

    def shown(self) -> dict[str, Any]:
        """As a response has it."""
        return self.model_dump(include={"type", "name", "description", "parameters", "strict"})


class NamedTool(Strict):
    type: Literal["function"]
    name: Name


class AllowedTools(Strict):
    """The tools that may be called, of those that the model is told of."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1, max_length=MOST_TOOLS)


def _flat(value: Any) -> Any:
    """A function within a function is the chat API's form of the same."""
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    if isinstance(kind, str) and kind not in ("function", "allowed_tools"):
        raise ValueError(f"type {kind[:64]!r} is not supported: {FUNCTIONS_ONLY}")
    inner = value.get("function")
    if not isinstance(inner, dict):
        return value
    return {**{name: one for name, one in value.items() if name != "function"}, **inner}


AnyTool: TypeAlias = Annotated[
    FlatTool, BeforeValidator(_flat, json_schema_input_type=FlatTool | FunctionTool)
]
Words: TypeAlias = Literal["none", "auto", "required"]
ToolChoice: TypeAlias = Annotated[
    Words | NamedTool | AllowedTools,
    BeforeValidator(
        _flat, json_schema_input_type=Words | NamedTool | ChatsNamedTool | AllowedTools
    ),
]
