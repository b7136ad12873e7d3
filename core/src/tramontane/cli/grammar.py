"""`--grammar` and `--json-schema`: what they say, as a Grammar."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.errors import RequestError

if TYPE_CHECKING:
    from tramontane.grammar import Grammar

KINDS = ("regex", "lark", "gbnf", "llguidance")


def grammar_of(options: argparse.Namespace) -> Grammar | None:
    """Raises RequestError for a file that cannot be read, or text that is no schema."""
    from tramontane.grammar import Grammar

    if options.json_schema is not None:
        return Grammar(type="json_schema", value=_schema(options.json_schema))
    if options.grammar is None:
        return None
    kind, _, text = options.grammar.partition(":")
    if kind == "json" and not text:
        return Grammar(type="json_object")
    if kind not in KINDS or not text:
        raise RequestError(
            f"--grammar {options.grammar!r:.60} is not json, regex:TEXT, lark:TEXT, "
            "gbnf:TEXT or llguidance:TEXT"
        )
    return Grammar(type=kind, value=read_text(Path(text[1:])) if text[0] == "@" else text)


def loose_schema(grammar: Grammar | None) -> str | None:
    """A hint for a schema of an object that allows more than its writer may think."""
    schema = grammar.value if grammar is not None and grammar.type == "json_schema" else None
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        return None
    missing, required = [], schema.get("required", [])
    if "type" not in schema:
        missing.append('without "type": "object" other values are allowed')
    if isinstance(required, list) and any(name not in required for name in schema["properties"]):
        missing.append('without "required" properties may be left out')
    if "additionalProperties" not in schema:
        missing.append('without "additionalProperties": false others may be added')
    return f"hint: {'; '.join(missing)}" if missing else None


def _schema(said: str) -> Any:
    inline = said.lstrip().startswith("{")
    name = "--json-schema" if inline else said
    try:
        value = json.loads(said if inline else read_text(Path(said)))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{name} is not JSON: {error}") from error
    if not isinstance(value, (dict, bool)):
        raise RequestError(f"{name} is {type(value).__name__}, and a JSON schema is an object")
    return value


def read_text(path: Path) -> str:
    """Raises RequestError for what cannot be read, or is no text."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is not UTF-8 text: byte {error.start} is wrong") from error
