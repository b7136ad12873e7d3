"""What a text must look like: the grammar that a request may carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from tramontane.errors import RequestError

LONGEST = 1 << 20
"""Characters of a regular expression or a grammar."""
BLANKS = r" |\n[ \t]{0,32}"
"""Between parts of JSON: models write it with blanks and indented; a bound keeps one that is lost
from nothing but that."""


class Grammar(BaseModel):
    """A language; a text under it is one of its sentences, unless it is cut off by a limit.

    What cannot be enforced is refused when the request is submitted, never dropped.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["json_object", "json_schema", "regex", "lark", "gbnf", "llguidance"]
    """json_object: any JSON object. json_schema: what a JSON Schema allows, in draft 2020-12 or 7.
    regex: the whole text, in Rust's syntax. lark: a grammar in llguidance's dialect of Lark.
    gbnf: a grammar of llama.cpp's; a plain string is one. llguidance: that library's own JSON
    form."""
    value: dict[str, Any] | bool | str | None = None
    """The schema, the expression, the grammar; None for json_object."""
    after: str = Field(default="", max_length=1024)
    """Until this has come the text is free: `</think>`, say, the end of the reasoning."""
    optional: bool = False
    """With `after`: whether the text may end before that has come."""

    @model_validator(mode="before")
    @classmethod
    def _plain_string(cls, data: Any) -> Any:
        return {"type": "gbnf", "value": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _value_fits(self) -> Grammar:
        kinds: dict[str, tuple[type, ...]] = {
            "json_object": (type(None),),
            "json_schema": (dict, bool),
            "llguidance": (dict, str),
        }
        kind = kinds.get(self.type, (str,))
        if not isinstance(self.value, kind):
            expected = " or ".join("nothing" if k is type(None) else k.__name__ for k in kind)
            raise ValueError(
                f"a grammar of type {self.type} has for value {expected}, "
                f"not {type(self.value).__name__}"
            )
        if isinstance(self.value, str) and len(self.value) > LONGEST:
            raise ValueError(f"a grammar of {len(self.value)} characters; the limit is {LONGEST}")
        return self


def schema_grammar(schema: Mapping[str, Any] | type[Any], after: str = "") -> Grammar:
    """The grammar of a JSON schema, or of a pydantic model or any type that pydantic knows.

    Objects of a model have its fields and no others, unless it says `extra="allow"`.
    Raises RequestError for a type of which it makes no schema.
    """
    if isinstance(schema, Mapping):
        return Grammar(type="json_schema", value=dict(schema), after=after)
    try:
        found = TypeAdapter(schema).json_schema()
    except Exception as error:  # pydantic has several, and user types raise their own
        reason = str(error).partition("\n")[0]
        raise RequestError(f"schema={schema!r} is neither a dict nor a model: {reason}") from error
    return Grammar(type="json_schema", value=_closed(found), after=after)


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        closed.setdefault("additionalProperties", False)
    return closed


def read_value(text: str, schema: Mapping[str, Any] | type[Any]) -> Any:
    """The value of an answer under a schema: JSON data, or what pydantic makes of it.

    Raises RequestError where the text is no such value, because it was cut off.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(Any if isinstance(schema, Mapping) else schema)
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        where = f"at {place}: " if place else ""
        raise RequestError(f"the answer does not fit the schema: {where}{first['msg']}") from (
            error
        )
