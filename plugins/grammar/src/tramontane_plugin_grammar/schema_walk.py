"""The parts of a JSON schema: which keywords there are, where schemas are inside, what is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, TypeAlias

from tramontane.errors import RequestError

Path: TypeAlias = tuple[str, ...]
ENFORCED = frozenset({
    "$anchor", "$defs", "$id", "$ref", "additionalItems", "additionalProperties", "allOf", "anyOf",
    "const", "definitions", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "items",
    "maximum", "maxItems", "maxLength", "maxProperties", "minimum", "minItems", "minLength",
    "minProperties", "multipleOf", "oneOf", "pattern", "patternProperties", "prefixItems",
    "properties", "required", "type",
})  # fmt: skip
REWRITTEN = frozenset({
    "contains", "dependencies", "dependentRequired", "dependentSchemas", "else", "id", "if",
    "maxContains", "minContains", "not", "nullable", "propertyNames", "then", "unevaluatedItems",
    "unevaluatedProperties", "uniqueItems",
})  # fmt: skip
"""Keywords that are enforced where they can be said with those."""
NOT_ENFORCED = frozenset({
    "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef", "$vocabulary",
    "contentSchema",
})  # fmt: skip
SAYS_NOTHING = frozenset({
    "$comment", "$schema", "contentEncoding", "contentMediaType", "default", "deprecated",
    "description", "discriminator", "example", "examples", "externalDocs", "readOnly", "title",
    "writeOnly", "xml",
})  # fmt: skip
"""Keywords that no value is wrong by."""
ONE = (
    "additionalItems", "additionalProperties", "items", "contains", "else", "if", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
SEVERAL = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
NAMED = (
    "$defs", "definitions", "properties", "patternProperties", "dependencies", "dependentSchemas",
)  # fmt: skip
SHAPES = {
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems", "required", "enum"), list),
    **dict.fromkeys((*NAMED, "dependentRequired"), dict),
    **dict.fromkeys(("nullable", "uniqueItems"), bool),
    "id": str,
}
SHAPED = {list: "a list", dict: "an object", bool: "true or false", str: "a text"}
OLD_DRAFTS = ("draft-04", "draft-06", "draft-07")
DEEPEST = 64


def check(schema: Any) -> None:
    """Every keyword is enforced or says nothing. Raises RequestError."""
    root = schema if isinstance(schema, dict) else {}
    old = any(draft in str(root.get("$schema")) for draft in OLD_DRAFTS)
    for path, part in inner_schemas(schema):
        if not isinstance(part, dict):
            if not isinstance(part, bool):
                raise refused(path, f"{part!r:.40} is no schema")
            continue
        for keyword, said in part.items():
            _check_keyword((*path, keyword), keyword, said)
        beside = sorted(part.keys() & ((ENFORCED | REWRITTEN) - {"$ref", "definitions", "$defs"}))
        if old and "$ref" in part and beside:
            raise refused(
                (*path, beside[0]),
                f"this draft ignores {beside[0]!r} next to $ref; put both into allOf",
            )


def _check_keyword(path: Path, keyword: str, said: Any) -> None:
    if keyword in NOT_ENFORCED:
        raise cannot(path)
    if keyword not in ENFORCED | REWRITTEN | SAYS_NOTHING and not keyword.startswith("x-"):
        close = difflib.get_close_matches(keyword, sorted(ENFORCED | REWRITTEN), 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise refused(path, f"{keyword!r} is no keyword that is known{hint}")
    kind = SHAPES.get(keyword)
    if kind is not None and not isinstance(said, kind):
        raise refused(path, f"should be {SHAPED[kind]}, not {said!r:.40}")
    if keyword == "required" and not all(isinstance(name, str) for name in said):
        raise refused(path, f"should be a list of names, not {said!r:.40}")


def inner_schemas(schema: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The schema and all schemas in it, each with its place; the outer one first."""
    if len(path) > 2 * DEEPEST:
        raise refused(path, f"nested deeper than {DEEPEST} levels")
    yield path, schema
    if not isinstance(schema, dict):
        return
    for keyword in ONE:
        if keyword in schema and not isinstance(schema[keyword], list):
            yield from inner_schemas(schema[keyword], (*path, keyword))
    for keyword in SEVERAL:
        inner = schema.get(keyword)
        for place, part in enumerate(inner if isinstance(inner, list) else []):
            yield from inner_schemas(part, (*path, keyword, str(place)))
    for keyword in NAMED:
        inner = schema.get(keyword)
        for name, part in (inner if isinstance(inner, dict) else {}).items():
            if keyword == "dependencies" and isinstance(part, list):
                continue  # names of members
            yield from inner_schemas(part, (*path, keyword, str(name)))


def cannot(path: Path) -> RequestError:
    """The error for a keyword, the last of its path, that is known."""
    return refused(
        path,
        f"{path[-1]!r} cannot be enforced while generating; leave it out, and check the answer",
    )


def refused(path: Path, why: str) -> RequestError:
    """An error that names a place."""
    return RequestError(f"the JSON schema at #{pointer(path)}: {why}")


def pointer(path: Path) -> str:
    """A place as references have it."""
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in path)
