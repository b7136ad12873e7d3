#!/bin/bash
# pydantic 2.14.3: min_length beside a union of list and str is enforced for both, and is in the JSON schema of strings only.
#
# Guess: `items: list[int] | str = Field(min_length=1)` has minItems and minLength in model_json_schema(), as
# `list[int]` alone has minItems, because an empty list and an empty text are both refused.
# Seen: both are refused, and the schema has minLength only, beside anyOf, so it takes the empty list. A server
# that makes its OpenAPI from such a model promises to take what it refuses. Limits inside the union
# (Annotated[list[int], Field(min_length=1)] | ...) are both in the schema.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pydantic==2.14.3
"$folder/venv/bin/python" - <<'EOF'
import pydantic
from typing import Annotated
from pydantic import BaseModel, Field, ValidationError


class Alone(BaseModel):
    items: list[int] = Field(min_length=1)


class Beside(BaseModel):
    items: list[int] | str = Field(min_length=1)


class Inside(BaseModel):
    items: Annotated[list[int], Field(min_length=1)] | Annotated[str, Field(min_length=1)]


def limits(model):
    return sorted(word for word in ("minItems", "minLength") if word in str(model.model_json_schema()))


def refused(model, value):
    try:
        model(items=value)
    except ValidationError:
        return True
    return False


print("pydantic", pydantic.VERSION)
print("in the schema: alone", limits(Alone), "beside a union", limits(Beside), "inside", limits(Inside))
print("refused, beside a union: []", refused(Beside, []), "''", refused(Beside, ""))
assert limits(Alone) == ["minItems"]
assert limits(Inside) == ["minItems", "minLength"]
assert refused(Beside, []) and refused(Beside, "")
assert limits(Beside) == ["minLength"], "the schema has other limits now"
print("as stated")
EOF
