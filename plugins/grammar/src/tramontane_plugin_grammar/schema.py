"""JSON schemas: what can be enforced becomes a grammar, what cannot is refused with its place."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

from llguidance import LLMatcher
from tramontane.errors import RequestError
from tramontane.grammar import BLANKS

ENFORCED = frozenset({
    "$anchor", "$defs", "$id", "$ref", "additionalItems", "additionalProperties", "allOf", "anyOf",
    "const", "definitions", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "items",
    "maximum", "maxItems", "maxLength", "maxProperties", "minimum", "minItems", "minLength",
    "minProperties", "multipleOf", "oneOf", "pattern", "patternProperties", "prefixItems",
    "properties", "required", "type",
})  # fmt: skip
NOT_ENFORCED = frozenset({
    "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef", "$vocabulary", "contains",
    "contentSchema", "dependencies", "dependentRequired", "dependentSchemas", "else", "if",
    "maxContains", "minContains", "not", "propertyNames", "then", "unevaluatedItems",
    "unevaluatedProperties", "uniqueItems",
})  # fmt: skip
SAYS_NOTHING = frozenset({
    "$comment", "$schema", "contentEncoding", "contentMediaType", "default", "deprecated",
    "description", "discriminator", "example", "examples", "readOnly", "title", "writeOnly",
})  # fmt: skip
"""Keywords that no value is wrong by."""
ONE = ("additionalItems", "additionalProperties", "items")
SEVERAL = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
NAMED = ("$defs", "definitions", "properties", "patternProperties")
INSIDE = re.compile(r"%json\s*(?=\{)")
OLD_DRAFTS = ("draft-04", "draft-06", "draft-07")
DEEPEST = 64

OPTIONS: Any = {"whitespace_pattern": BLANKS}


def schema_source(schema: Any) -> str:
    """A grammar for what the schema allows, properties in its order. Raises RequestError."""
    _check(schema)
    if isinstance(schema, bool):  # the library takes objects
        schema = {"allOf": [schema]}
    # what the library takes for its options could make it lenient
    plain = {key: part for key, part in schema.items() if key != "x-guidance"}
    text = LLMatcher.grammar_from_json_schema(json.dumps(plain), overrides=OPTIONS)
    if said := LLMatcher.validate_grammar(text):
        raise RequestError(f"the JSON schema at {_place(schema, said)}: {_reason(said)}")
    return text


def check_inside(lark: str) -> None:
    """The same of the schemas that a Lark grammar has after `%json`. Raises RequestError."""
    for found in INSIDE.finditer(lark):
        try:
            schema, _ = json.JSONDecoder().raw_decode(lark, found.end())
        except ValueError:
            continue  # in a text, or an error that the grammar has anyway
        if isinstance(schema, dict):
            schema_source({key: part for key, part in schema.items() if key != "x-guidance"})


def _check(schema: Any) -> None:
    """Every keyword is enforced or says nothing."""
    root = schema if isinstance(schema, dict) else {}
    old = any(draft in str(root.get("$schema")) for draft in OLD_DRAFTS)
    for path, part in _parts(schema, ()):
        if not isinstance(part, dict):
            if not isinstance(part, bool):
                raise _refused(path, f"{part!r:.40} is no schema")
            continue
        for keyword in part:
            if keyword in NOT_ENFORCED:
                raise _refused((*path, keyword), f"{keyword!r} cannot be enforced while generating")
            if keyword not in ENFORCED | SAYS_NOTHING and not keyword.startswith("x-"):
                close = difflib.get_close_matches(keyword, sorted(ENFORCED), 1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise _refused((*path, keyword), f"{keyword!r} is no keyword that is known{hint}")
        beside = sorted(part.keys() & (ENFORCED - {"$ref", "definitions", "$defs"}))
        if old and "$ref" in part and beside:
            raise _refused(
                (*path, beside[0]),
                f"this draft ignores {beside[0]!r} beside $ref; put both into allOf",
            )


def _parts(schema: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The schema and all schemas in it, each with its place; the outer one first."""
    if len(path) > 2 * DEEPEST:
        raise _refused(path, f"nested deeper than {DEEPEST} levels")
    yield path, schema
    if not isinstance(schema, dict):
        return
    for keyword in ONE:
        if keyword in schema and not isinstance(schema[keyword], list):
            yield from _parts(schema[keyword], (*path, keyword))
    for keyword in SEVERAL:
        inner = schema.get(keyword)
        for place, part in enumerate(inner if isinstance(inner, list) else []):
            yield from _parts(part, (*path, keyword, str(place)))
    for keyword in NAMED:
        inner = schema.get(keyword)
        for name, part in (inner if isinstance(inner, dict) else {}).items():
            yield from _parts(part, (*path, keyword, str(name)))


def _place(schema: Any, said: str) -> str:
    """The innermost part that by itself is refused for the same reason."""
    found: tuple[str, ...] = ()
    for path, _ in _parts(schema, ()):
        alone = {"$ref": "#/$defs/whole" + _pointer(path), "$defs": {"whole": _moved(schema)}}
        text = LLMatcher.grammar_from_json_schema(json.dumps(alone))
        if len(path) > len(found) and _reason(LLMatcher.validate_grammar(text)) == _reason(said):
            found = path
    return f"#{_pointer(found)}"


def _moved(value: Any) -> Any:
    """The schema with references to its own parts, for a home under #/$defs/whole."""
    if isinstance(value, list):
        return [_moved(part) for part in value]
    if not isinstance(value, dict):
        return value
    moved = {key: _moved(part) for key, part in value.items()}
    reference = value.get("$ref")
    if isinstance(reference, str) and (reference == "#" or reference.startswith("#/")):
        moved["$ref"] = "#/$defs/whole" + reference[1:]
    return moved


def _reason(said: str) -> str:
    reason = " ".join(said.split()).partition(" while processing")[0]
    reason = reason.replace(
        "oneOf constraints are not supported. Enable 'coerce_one_of' option to approximate oneOf "
        "with anyOf",
        "'oneOf' of schemas that may overlap cannot be enforced; use 'anyOf'",
    )
    return reason if len(reason) <= 300 else f"{reason[:297]}..."


def _refused(path: tuple[str, ...], why: str) -> RequestError:
    return RequestError(f"the JSON schema at #{_pointer(path)}: {why}")


def _pointer(path: tuple[str, ...]) -> str:
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in path)
