"""JSON values as schemas compare them, and the schemas that allow a few of them only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any


def key_of(value: Any) -> str:
    """Equal for values that are equal in JSON: 1 and 1.0 are, 1 and true are not."""
    return json.dumps(_plain(value), sort_keys=True)


def finite(schema: Mapping[str, Any], resolve: Callable[[str], Any]) -> list[Any] | None:
    """The values that a schema names one by one, of which it may allow fewer; None: it does not."""
    for _ in range(16):
        if "const" in schema:
            return [schema["const"]]
        if isinstance(schema.get("enum"), list):
            return list(schema["enum"])
        if schema.get("type") == "boolean":
            return [True, False]
        found = resolve(schema["$ref"]) if isinstance(schema.get("$ref"), str) else None
        if not isinstance(found, dict):
            return None
        schema = found
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value
