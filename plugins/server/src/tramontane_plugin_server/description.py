"""The API reference as a page, from the code: python -m tramontane_plugin_server.description"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from .app import build
from .serving import Serving
from .settings import read

HEAD = """\
# The server's API

Made from the code by `python -m tramontane_plugin_server.description`; a test keeps it so. A
running server has the same, to try, at `/docs`, and as OpenAPI at `/openapi.json`. What of
OpenAI's and Anthropic's APIs is honoured and what is refused is in
[compatibility](compatibility.md).
"""


def openapi() -> dict[str, Any]:
    """The description of all routes."""
    app: Any = build(Serving(read(None, {})))
    while not hasattr(app, "openapi"):  # what every request passes is around it
        app = app._app
    found: dict[str, Any] = app.openapi()
    return found


def page() -> str:
    """docs/api.md."""
    told = openapi()
    shapes = told["components"]["schemas"]
    parts = [HEAD]
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            parts.append(f"## {method.upper()} {path}\n\n{_one_line(operation['description'])}\n")
            content = operation.get("requestBody", {}).get("content", {})
            for body in content.values():
                parts.append(_table(_resolved(body["schema"], shapes), shapes))
            codes = ", ".join(code for code in sorted(operation["responses"]) if code != "422")
            parts.append(f"Answers with {codes}.\n")
    return "\n".join(parts)


def _table(shape: Mapping[str, Any], shapes: Mapping[str, Any]) -> str:
    required = set(shape.get("required", ()))
    lines = ["| field | is | |", "|---|---|---|"]
    for name, field in shape.get("properties", {}).items():
        star = " (required)" if name in required else ""
        said = _one_line(field.get("description", ""))
        default = field.get("default")
        if default not in (None, ""):
            said += f"{'; ' if said else ''}default {default}"
        kinds = " or ".join(dict.fromkeys(_kinds(field, shapes)))
        lines.append(f"| `{name}`{star} | {kinds} | {said} |")
    return "\n".join(lines) + "\n"


def _kinds(field: Mapping[str, Any], shapes: Mapping[str, Any]) -> Iterator[str]:
    """What a field may be, in words; null, which is the same as absent, is not said."""
    if "$ref" in field:
        inner = _resolved(field, shapes)
        fields = ", ".join(f"`{name}`" for name in inner.get("properties", {}))
        yield f"object of {fields}" if fields else "object"
    elif choices := field.get("anyOf", field.get("oneOf")):
        for choice in choices:
            yield from _kinds(choice, shapes)
    elif "const" in field:
        yield f"`{field['const']}`".lower()
    elif "enum" in field:
        yield " or ".join(f"`{value}`" for value in field["enum"])
    elif field.get("type") == "array":
        inner = " or ".join(dict.fromkeys(_kinds(field.get("items", {}), shapes)))
        most = f", {field['maxItems']} at most" if "maxItems" in field else ""
        yield f"list of {inner or 'anything'}{most}"
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


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
