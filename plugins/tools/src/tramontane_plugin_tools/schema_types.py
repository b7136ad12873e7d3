"""What a JSON schema says of one argument: which types it admits, and which texts.

`$ref` within the schema, `anyOf`, `oneOf`, `allOf`, `enum`, `const` and `nullable` are looked into;
all other keywords narrow values of a type, not the types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import unquote

TYPES = frozenset({"array", "boolean", "null", "number", "object", "string"})
ABOUT = {"$ref", "allOf", "anyOf", "const", "default", "deprecated", "description", "enum",
         "examples", "nullable", "oneOf", "readOnly", "title", "type", "writeOnly"}  # fmt: skip
T = TypeVar("T")
ANY_TEXT: list[str] | None = None
NO_PLACES: tuple[str, ...] = ()


def each_once(otherwise: T) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Makes a function of (schema, root, memo, ...) look at each part of a schema once.

    otherwise: its answer for a part within itself, and for what is nested too deeply.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        @wraps(function)
        def once(schema: Any, root: Any = None, memo: dict[int, T] | None = None, *rest: Any) -> T:
            first, memo = memo is None, {} if memo is None else memo
            if id(schema) not in memo:
                memo[id(schema)] = otherwise
                try:
                    memo[id(schema)] = function(
                        schema, schema if root is None else root, memo, *rest
                    )
                except RecursionError:
                    if not first:
                        raise
            return memo[id(schema)]

        return once

    return decorate


def json_type(value: Any) -> str:
    """The type of a value; an integer is a number."""
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (str, "string"), (Mapping, "object"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "number"


def resolve(reference: Any, root: Mapping[str, Any]) -> Any:
    """What a reference into its own schema, `#/$defs/City`, points to; True for all others."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return True
    found: Any = root
    for part in reference[1:].split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return True
    return found


def branches(schema: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The alternatives of each `anyOf` and `oneOf`."""
    for keyword in ("anyOf", "oneOf"):
        found = schema.get(keyword)
        if isinstance(found, list) and found:
            yield found


def all_of(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[Any]:
    """Schemas that hold beside this one: those of `allOf`, and what `$ref` points to."""
    if "$ref" in schema:
        yield resolve(schema["$ref"], root)
    found = schema.get("allOf")
    if isinstance(found, list):
        yield from found


@each_once(TYPES)
def admitted(schema: Any, root: Mapping[str, Any], memo: dict[int, Any]) -> frozenset[str]:
    """The types that a schema admits: all where it says nothing of them, none where it is false."""
    if not isinstance(schema, Mapping):
        return TYPES if schema is not False else frozenset()
    found = TYPES
    if "type" in schema:
        said = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        found = TYPES & {"number" if name == "integer" else name for name in said}
    if isinstance(schema.get("enum"), list):
        found &= {json_type(value) for value in schema["enum"]}
    if "const" in schema:
        found &= {json_type(schema["const"])}
    for one in all_of(schema, root):
        found &= admitted(one, root, memo)
    for several in branches(schema):
        found &= frozenset().union(*(admitted(one, root, memo) for one in several))
    return found | {"null"} if schema.get("nullable") is True else found


def member_types(schema: Any, key: str) -> frozenset[str]:
    """The types that an object's schema admits for one of its members."""
    return _member_types(schema, schema, None, key)


@each_once(TYPES)
def _member_types(
    schema: Any, root: Mapping[str, Any], memo: dict[int, Any], key: str
) -> frozenset[str]:
    if not isinstance(schema, Mapping):
        return TYPES
    found = TYPES
    for one in _of_member(schema, key):
        found &= admitted(one, root)
    for one in all_of(schema, root):
        found &= _member_types(one, root, memo, key)
    for several in branches(schema):
        found &= frozenset().union(*(_member_types(one, root, memo, key) for one in several))
    return found


def _of_member(schema: Mapping[str, Any], key: str) -> Iterator[Any]:
    said = False
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and key in properties:
        said = True
        yield properties[key]
    patterns = schema.get("patternProperties")
    for pattern, one in patterns.items() if isinstance(patterns, Mapping) else ():
        if _matches(pattern, key):
            said = True
            yield one
    if not said and isinstance(schema.get("additionalProperties"), Mapping):
        yield schema["additionalProperties"]


def _matches(pattern: str, key: str) -> bool:
    try:
        return re.search(pattern, key) is not None
    except re.error:
        return False


@each_once(frozenset[str]())
def known_members(schema: Any, root: Mapping[str, Any], memo: dict[int, Any]) -> frozenset[str]:
    """The names that an object's schema has for its members."""
    if not isinstance(schema, Mapping):
        return frozenset()
    properties = schema.get("properties")
    found = frozenset(properties) if isinstance(properties, Mapping) else frozenset()
    inner = [*all_of(schema, root), *(one for several in branches(schema) for one in several)]
    return found.union(*(known_members(one, root, memo) for one in inner))


@each_once(ANY_TEXT)
def choices(schema: Any, root: Mapping[str, Any], memo: dict[int, Any]) -> list[str] | None:
    """The texts of which an argument is one, `null` for null; None: it may be any text."""
    if not isinstance(schema, Mapping):
        return None
    sets: list[list[str]] = []
    if isinstance(schema.get("enum"), list):
        sets.append(_written(schema["enum"]))
    if "const" in schema:
        sets.append(_written([schema["const"]]))
    if schema.get("type") == "null":
        sets.append(["null"])
    for one in all_of(schema, root):
        if (found := choices(one, root, memo)) is not None:
            sets.append(found)
    for several in branches(schema):
        parts = [choices(one, root, memo) for one in several]
        if None not in parts:
            sets.append([text for part in parts for text in part or ()])
    if not sets:
        return None
    return [text for text in dict.fromkeys(sets[0]) if all(text in other for other in sets[1:])]


@each_once(NO_PLACES)
def unbound(
    schema: Any, root: Mapping[str, Any], memo: dict[int, Any], place: str
) -> tuple[str, ...]:
    """The places of keywords that ask more of a text than that it is one, or one of several."""
    if not isinstance(schema, Mapping):
        return ()
    found = [f"{place}/{keyword}" for keyword in sorted(schema.keys() - ABOUT)]
    if isinstance(schema.get("$ref"), str):
        found += unbound(resolve(schema["$ref"], root), root, memo, schema["$ref"])
    for keyword in ("allOf", "anyOf", "oneOf"):
        several = schema.get(keyword)
        for index, one in enumerate(several if isinstance(several, list) else ()):
            found += unbound(one, root, memo, f"{place}/{keyword}/{index}")
    return tuple(found)


def _written(values: list[Any]) -> list[str]:
    return ["null" if v is None else v for v in values if v is None or isinstance(v, str)]
