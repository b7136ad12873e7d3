"""The schema of what another one forbids, where that is a schema again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .literals import finite, key_of

KINDS = ("null", "boolean", "object", "array", "string", "number")
MEANT = frozenset(
    {"type", "const", "enum", "required", "properties", "allOf", "anyOf", "not", "$ref"}
)
"""Keywords whose opposite is known; each of them says something by itself."""
Resolve = Callable[[str], Any]


def opposite(
    schema: Any,
    beside: Sequence[Mapping[str, Any]],
    says_nothing: frozenset[str],
    resolve: Resolve,
    depth: int = 0,
) -> Any:
    """A schema under which the values are that `schema` forbids; None: there is none to be had.

    beside: schemas that hold as well: what they leave of values is all there is. resolve: gives the
    schema of a reference, or None.
    """
    if isinstance(schema, bool):
        return not schema
    if not isinstance(schema, dict) or depth > 16:
        return None
    keywords = [key for key in schema if key not in says_nothing]
    if not MEANT.issuperset(keywords):
        return None

    def of(part: Any, known: Sequence[Mapping[str, Any]] = beside) -> Any:
        return opposite(part, known, says_nothing, resolve, depth + 1)

    return either([_of(key, schema[key], beside, resolve, of) for key in keywords])


def either(choices: Sequence[Any]) -> Any:
    """One of several; None if one of them is."""
    if any(choice is None for choice in choices):
        return None
    if any(choice is True for choice in choices):
        return True
    left = [choice for choice in choices if choice is not False]
    return {"anyOf": left} if len(left) > 1 else left[0] if left else False


def others(kinds: Any) -> list[str] | None:
    """The other types. None where they cannot be told: numbers that are not whole have no name."""
    given = [kinds] if isinstance(kinds, str) else kinds
    if not isinstance(given, list) or not all(isinstance(kind, str) for kind in given):
        return None
    if "integer" in given and "number" not in given:
        return None
    return [kind for kind in KINDS if kind not in given]


def _of(
    keyword: str,
    said: Any,
    beside: Sequence[Mapping[str, Any]],
    resolve: Resolve,
    of: Callable[..., Any],
) -> Any:
    match keyword:
        case "$ref":
            found = resolve(said)
            return None if found is None else of(found)
        case "not":
            return said
        case "type":
            kinds = others(said)
            return None if kinds is None else {"type": kinds} if kinds else False
        case "const" | "enum":
            return _other_values([said] if keyword == "const" else said, beside, resolve)
        case "allOf" | "anyOf" if isinstance(said, list):
            parts = [of(part) for part in said]
            if keyword == "allOf":
                return either(parts)
            return None if any(part is None for part in parts) else {"allOf": parts}
        case "required" if isinstance(said, list):
            missing = either([{"properties": {name: False}} for name in said])
            return missing and {"type": "object", "allOf": [missing]}
        case "properties" if isinstance(said, dict):
            choices = []
            for name, part in said.items():
                around = [one["properties"][name] for one in beside
                          if isinstance((one.get("properties") or {}).get(name), dict)]  # fmt: skip
                other = of(part, around)
                if other is not False:
                    choices.append(other and {"required": [name], "properties": {name: other}})
            found = either(choices)
            return found and {"type": "object", "allOf": [found]}
    return None


def _other_values(given: Any, beside: Sequence[Mapping[str, Any]], resolve: Resolve) -> Any:
    if not isinstance(given, list):
        return None
    away = {key_of(value) for value in given}
    for one in beside:
        if (known := finite(one, resolve)) is not None:
            left = [value for value in known if key_of(value) not in away]
            return {"enum": left} if left else False
    if not all(value is None or isinstance(value, bool) for value in given):
        return None  # texts and numbers but for some of them are no schema
    kinds = others(["boolean", "null"] if key_of(None) in away else "boolean")
    left = [value for value in (True, False) if key_of(value) not in away]
    return either([{"type": kinds}, {"enum": left} if left else False])
