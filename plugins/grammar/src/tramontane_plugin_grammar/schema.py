"""JSON schemas: what can be enforced becomes a grammar, what cannot is refused with its place."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from llguidance import LLMatcher
from tramontane.errors import RequestError
from tramontane.grammar import BLANKS

from .rewrite import rewritten
from .schema_walk import Path, check, inner_schemas, pointer, refused

TEXTS = frozenset({"format", "pattern"})
LENGTHS = frozenset({"maxLength", "minLength"})
OURS = frozenset({"x-guidance", "x-otherwise", "x-whose"})
"""Keywords beside a schema within a Lark grammar: the library's options, what to take where the
schema cannot be enforced, and how an error begins."""
log = logging.getLogger("tramontane.grammar")
INSIDE = re.compile(r"%json\s*(?=\{)")
OPTIONS: Any = {"whitespace_pattern": BLANKS}
Follows: TypeAlias = Callable[[Any], str]
"""Of a schema: why it cannot be followed while generating, or nothing."""


def schema_source(schema: Any, follows: Follows | None = None) -> str:
    """A grammar for what the schema allows, properties in its order. Raises RequestError."""
    check(schema)
    plain = rewritten(schema)
    if isinstance(plain, bool):  # the library takes objects
        plain = {"allOf": [plain]}
    # what the library takes for its options could make it lenient
    plain.pop("x-guidance", None)
    text = LLMatcher.grammar_from_json_schema(json.dumps(plain), overrides=OPTIONS)
    if said := LLMatcher.validate_grammar(text):
        raise refused(_within(schema, _place(plain, said)), _reason(said))
    if follows is not None:
        _check_lengths(schema, follows)
    return text


def _check_lengths(schema: Any, follows: Follows) -> None:
    """A pattern and lengths of one text have to be followed together, which may cost too much."""
    for path, part in inner_schemas(schema):
        if isinstance(part, dict) and part.keys() & TEXTS and part.keys() & LENGTHS:
            text = {key: part[key] for key in part.keys() & (TEXTS | LENGTHS)}
            if said := follows(rewritten({"type": "string", **text})):
                keyword = min(part.keys() & TEXTS)
                lengths = " and ".join(sorted(part.keys() & LENGTHS))
                raise refused(
                    (*path, keyword),
                    f"{keyword!r} together with {lengths} costs too much to follow ({said}); "
                    "leave one of them out, or let the pattern repeat less",
                )


def plain_inside(lark: str, follows: Follows | None = None) -> str:
    """A Lark grammar whose schemas, which it has after `%json`, are plain. Raises RequestError for
    one that cannot be enforced."""
    made, end = [], 0
    for found in INSIDE.finditer(lark):
        try:
            schema, after = json.JSONDecoder().raw_decode(lark, found.end())
        except ValueError:
            continue  # in a text, or an error that the grammar has anyway
        if found.start() < end or not isinstance(schema, dict):
            continue
        alone = {key: part for key, part in schema.items() if key not in OURS}
        try:
            schema_source(alone, follows)
            plain = rewritten(alone)
        except RequestError as error:
            said = " ".join(f"{schema.get('x-whose', '')}{error}".split())
            if "x-otherwise" not in schema:
                raise RequestError(said) from error
            log.warning("%s; so other arguments are possible", said)
            plain = schema["x-otherwise"]
        if plain != alone:
            plain = {**({"allOf": [plain]} if isinstance(plain, bool) else plain)}
            options = {"x-guidance": schema["x-guidance"]} if "x-guidance" in schema else {}
            made += [lark[end : found.end()], json.dumps({**plain, **options})]
            end = after
    return "".join([*made, lark[end:]])


def _place(schema: Any, said: str) -> Path:
    """The innermost part that by itself is refused for the same reason."""
    found: Path = ()
    for path, _ in inner_schemas(schema):
        alone = {"$ref": "#/$defs/whole" + pointer(path), "$defs": {"whole": _moved(schema)}}
        text = LLMatcher.grammar_from_json_schema(json.dumps(alone))
        if len(path) > len(found) and _reason(LLMatcher.validate_grammar(text)) == _reason(said):
            found = path
    return found


def _within(schema: Any, path: Path) -> Path:
    """As much of a place in the plain schema as there is in the one that was given."""
    kept: list[str] = []
    for name in path:
        if isinstance(schema, list) and name.isdigit() and int(name) < len(schema):
            schema = schema[int(name)]
        elif isinstance(schema, dict) and name in schema:
            schema = schema[name]
        else:
            if kept and isinstance(schema, list):
                kept.pop()  # a list without this part of it
            break
        kept.append(name)
    return tuple(kept)


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
