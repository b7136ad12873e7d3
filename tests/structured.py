"""What every test of structured output asks of an answer, so that none passes on nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema


def held(text: str | None, finish_reason: str, schema: dict[str, Any]) -> Any:
    """The value of an answer that ended by itself and is what the schema asks for."""
    assert finish_reason in ("stop", "tool_calls"), (finish_reason, text)
    assert text, f"an empty answer with finish_reason {finish_reason!r}"
    value = json.loads(text)
    jsonschema.Draft202012Validator(schema).validate(value)
    return value


def matched(text: str | None, finish_reason: str, pattern: str) -> None:
    """An answer that ended by itself and is the whole of what a regular expression asks for."""
    assert finish_reason == "stop", (finish_reason, text)
    assert text, "an empty answer"
    assert re.fullmatch(pattern, text), (pattern, text)
