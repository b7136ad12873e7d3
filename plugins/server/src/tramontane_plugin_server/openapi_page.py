"""An OpenAPI description, route by route, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .openai.fields import NO_EFFECT, Sampling


@dataclass(frozen=True)
class Section:
    """One route. rows: (field, whether required, what it is, what it means); those that must be
    given first, then the route's own, how tokens are drawn, and what changes nothing."""

    title: str
    about: str
    rows: Sequence[tuple[str, bool, str, str]]
    codes: Sequence[str]


def sections(told: Mapping[str, Any]) -> Iterator[Section]:
    """The routes of an OpenAPI description, in order."""
    shapes = told["components"]["schemas"]
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            rows = list(_queried(operation.get("parameters", ()), shapes))
            for body in operation.get("requestBody", {}).get("content", {}).values():
                rows += _rows(_resolved(body["schema"], shapes), shapes)
            codes = sorted(code for code in operation["responses"] if code != "422")
            yield Section(f"{method.upper()} {path}", operation["description"], rows, codes)


def _queried(
    parameters: Sequence[Mapping[str, Any]], shapes: Mapping[str, Any]
) -> Iterator[tuple[str, bool, str, str]]:
    """The rows of a query string."""
    asked = [one for one in parameters if one["in"] == "query"]
    shape = {
        "properties": {
            f"?{one['name']}": {**one["schema"], "description": one.get("description", "")}
            for one in asked
        },
        "required": [f"?{one['name']}" for one in asked if one.get("required")],
    }
    yield from _rows(shape, shapes)


def _rows(
    shape: Mapping[str, Any], shapes: Mapping[str, Any]
) -> Iterator[tuple[str, bool, str, str]]:
    required = set(shape.get("required", ()))

    def place(item: tuple[str, Mapping[str, Any]]) -> int:
        name, field = item
        if field.get("description") == NO_EFFECT:
            return 3
        return 0 if name in required else 1 + (name in Sampling.model_fields)

    for name, field in sorted(shape.get("properties", {}).items(), key=place):
        said = str(field.get("description", ""))
        default = field.get("default")
        if default not in (None, ""):
            said += f"{'; ' if said else ''}default {default}"
        yield name, name in required, " or ".join(dict.fromkeys(_kinds(field, shapes))), said


def _kinds(field: Mapping[str, Any], shapes: Mapping[str, Any]) -> Iterator[str]:
    """What a field may be, in words; null, which is the same as absent, is not said."""
    if "$ref" in field:
        inner = _resolved(field, shapes)
        names = ", ".join(f"`{name}`" for name in inner.get("properties", {}))
        yield f"object of {names}" if names else "object"
    elif choices := field.get("anyOf", field.get("oneOf")):
        for choice in choices:
            yield from _kinds(choice, shapes)
    elif "const" in field:
        yield f"`{field['const']}`".lower()
    elif "enum" in field:
        yield " or ".join(f"`{value}`" for value in field["enum"])
    elif field.get("type") == "array":
        items = " or ".join(dict.fromkeys(_kinds(field.get("items", {}), shapes)))
        most = f", {field['maxItems']} at most" if "maxItems" in field else ""
        yield f"list of {items or 'anything'}{most}"
    elif isinstance(field.get("type"), list):
        yield " or ".join(field["type"])
    elif field.get("type") == "object" and "properties" in field:
        yield f"object of {', '.join(f'`{name}`' for name in field['properties'])}"
    elif field.get("type") != "null":
        low = field.get("minimum", field.get("exclusiveMinimum"))
        high = field.get("maximum", field.get("exclusiveMaximum"))
        kind = str(field.get("type", "anything"))
        if low is not None and high is not None and abs(high) < 1 << 31:
            kind += f" {low:g} to {high:g}"
        elif low is not None and abs(low) < 1 << 31:
            kind += f" from {low:g}"
        yield kind


def _resolved(shape: Mapping[str, Any], shapes: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in shape:
        shape = shapes[shape["$ref"].rpartition("/")[2]]
    return shape
