"""Bodies of forms (multipart/form-data): texts, and the files that a route takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from tramontane_plugin_server.ignored import unknown_in
from tramontane_plugin_server.openai.fields import RequestBody

from .errors import ApiError

FORM = "multipart/form-data"
MOST_FILES, MOST_FIELDS = 4, 64
MOST_FIELD = 1 << 20
"""Bytes of a field that is no file."""
Body = TypeVar("Body", bound=RequestBody)


def form_of(
    kind: type[RequestBody], file: str, about: Mapping[str, Any], lists: Collection[str] = ()
) -> dict[str, Any]:
    """The form for the description of a route; in a form there is no null. file, about: the name of
    its file, and what is said of it. lists: fields that may be given several times, with [] behind
    their names."""
    fields: dict[str, Any] = {file: dict(about)}
    schema = kind.model_json_schema()
    for name, field in schema["properties"].items():
        kinds = [each for each in field.pop("anyOf", ()) if each != {"type": "null"}]
        told = {key: value for key, value in field.items() if key not in ("title", "default")}
        fields[f"{name}[]" if name in lists else name] = told | (kinds[0] if kinds else {})
    required = [file, *schema.get("required", ())]
    whole = {"type": "object", "required": required, "properties": fields}
    return {"requestBody": {"required": True, "content": {FORM: {"schema": whole}}}}


async def read_form(
    request: Request, files: Collection[str], what: str
) -> list[tuple[str, str | bytes | None]]:
    """The fields in their order: a text, the bytes of a file that has one of the names `files`,
    None for any other file. what: the file that belongs into the form, for the error.

    Raises ApiError 415 for a body that is no form, starlette's 400 for one beyond the limits.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != FORM:
        raise ApiError(415, f"the content type should be {FORM}, with {what}")
    found: list[tuple[str, str | bytes | None]] = []
    async with request.form(
        max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=MOST_FIELD
    ) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                found.append((name, await value.read() if name in files else None))
            else:
                found.append((name, value))
    return found


def body_of(request: Request, kind: type[Body], fields: Mapping[str, Any]) -> Body:
    """The fields as a request's body. Raises RequestValidationError, ApiError."""
    try:
        body = kind.model_validate(fields)
    except ValidationError as error:
        problems = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(problems) from None
    unknown_in(request, body)
    return body
