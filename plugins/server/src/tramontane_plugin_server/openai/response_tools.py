"""Tools and formats of OpenAI's responses API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field, InstanceOf
from tramontane.tools import Tool

from .fields import NO_EFFECT, RequestBody, refuse
from .tool_fields import (
    FUNCTIONS_ONLY,
    MAX_TOOLS,
    FlatSchemaFormat,
    Function,
    FunctionTool,
    Name,
    ObjectFormat,
    OtherTool,
    TextFormat,
    UnsupportedTool,
    supported_tool,
)
from .tool_fields import NamedTool as ChatNamedTool

Format: TypeAlias = Annotated[
    TextFormat | ObjectFormat | FlatSchemaFormat, Field(discriminator="type")
]


class FlatTool(Function):
    """A function that the model may call."""

    refused: ClassVar[Mapping[str, str]] = {"async": "calls made by programs are not supported"}
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {"async": (False,)}

    type: Literal["function"]
    strict: bool | None = Field(
        None, description="absent: the schema is enforced as far as possible"
    )
    output_schema: dict[str, Any] | None = Field(None, description=NO_EFFECT)
    allowed_callers: list[Literal["direct"]] | None = Field(None, description=NO_EFFECT)
    defer_loading: Literal[False] | None = Field(None, description=NO_EFFECT)

    def tool(self) -> Tool:
        """The tool of `tramontane.tools`; without `strict`, enforced as far as possible."""
        return replace(super().tool(), bound=self.strict is None)

    def as_dict(self) -> dict[str, Any]:
        """The form in a response."""
        return self.model_dump(include={"type", "name", "description", "parameters", "strict"})


class NamedTool(RequestBody):
    type: Literal["function"]
    name: Name


class AllowedTools(RequestBody):
    """The tools that may be called, among those that are shown to the model."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1, max_length=MAX_TOOLS)


def _flat(value: Any) -> Any:
    """Accept the chat API's nested form of a function too."""
    inner = value.get("function") if isinstance(value, dict) else None
    if not isinstance(inner, dict):
        return value
    return {**{name: one for name, one in value.items() if name != "function"}, **inner}


def _function(value: Any) -> Any:
    return supported_tool(_flat(value), (None, "function"), FUNCTIONS_ONLY)


NamespaceTool: TypeAlias = Annotated[
    FlatTool | InstanceOf[UnsupportedTool],
    BeforeValidator(_function, json_schema_input_type=FlatTool | OtherTool),
]


class Namespace(RequestBody):
    """Functions with a common prefix."""

    type: Literal["namespace"]
    name: Name
    description: str | None = None
    tools: list[NamespaceTool] = Field(max_length=MAX_TOOLS)

    def functions(self) -> list[tuple[FlatTool, Tool]]:
        """Each as it was sent and as a tool; the first has the description of the namespace too."""
        found: list[tuple[FlatTool, Tool]] = []
        prefix = f"{self.description}\n" if self.description else ""
        for one in self.tools:
            if isinstance(one, FlatTool):
                name, tool = full_name(self.name, one.name), one.tool()
                tool = replace(tool, name=name, description=prefix + tool.description)
                found.append((one, tool))
                prefix = ""
        return found

    def as_dict(self) -> dict[str, Any]:
        """The form in a response."""
        tools = [one.as_dict() for one, _ in self.functions()]
        return {**self.model_dump(include={"type", "name", "description"}), "tools": tools}


def _tool(value: Any) -> Any:
    return supported_tool(_flat(value), (None, "function", "namespace"), FUNCTIONS_ONLY)


AnyTool: TypeAlias = Annotated[
    FlatTool | Namespace | InstanceOf[UnsupportedTool],
    BeforeValidator(_tool, json_schema_input_type=FlatTool | FunctionTool | Namespace | OtherTool),
]


def full_name(namespace: str | None, name: str) -> str:
    """The name by which the model calls a function of a namespace."""
    if not namespace:
        return name
    return namespace + name if namespace.endswith("__") else f"{namespace}__{name}"


def _choice(value: Any) -> Any:
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind not in ("function", "allowed_tools"):
        refuse("type", f"type {kind[:64]!r} is not supported: {FUNCTIONS_ONLY}", "invalid_value")
    return _flat(value)


ChoiceMode: TypeAlias = Literal["none", "auto", "required"]
ToolChoice: TypeAlias = Annotated[
    ChoiceMode | NamedTool | AllowedTools,
    BeforeValidator(
        _choice, json_schema_input_type=ChoiceMode | NamedTool | ChatNamedTool | AllowedTools
    ),
]
