"""No field that the official clients know is taken for an unknown one, however deep it is."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_create_params
from openai.types import completion_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import input_token_count_params, response_create_params
from pydantic import BaseModel
from tramontane_plugin_server.compatibility import REQUESTS
from tramontane_plugin_server.openai.fields import RequestBody
from tramontane_plugin_server.openai.tool_fields import UnsupportedTool
from typing_extensions import get_type_hints, is_typeddict

HEADERS = {"betas"}
"""What the clients send as a header."""
OFFICIAL = [
    ("POST /v1/chat/completions", chat_create_params.CompletionCreateParamsNonStreaming),
    ("POST /v1/chat/completions", chat_create_params.CompletionCreateParamsStreaming),
    ("POST /v1/completions", completion_create_params.CompletionCreateParamsNonStreaming),
    ("POST /v1/responses", response_create_params.ResponseCreateParamsNonStreaming),
    ("POST /v1/responses", response_create_params.ResponseCreateParamsStreaming),
    ("POST /v1/responses/input_tokens", input_token_count_params.InputTokenCountParams),
    ("POST /v1/messages", message_create_params.MessageCreateParamsNonStreaming),
    ("POST /v1/messages", beta_create_params.MessageCreateParamsNonStreaming),
]


def inside(kind: Any, wanted: typing.Callable[[Any], bool]) -> Iterator[Any]:
    """The types of a sort that an annotation is made of."""
    if wanted(kind):
        yield kind
        return
    for part in typing.get_args(kind):
        yield from inside(part, wanted)


def is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not UnsupportedTool


def tags(hints: dict[str, Any]) -> set[str]:
    """The values of what tells alternatives apart."""
    found = hints.get("type", hints.get("role"))
    texts = inside(found, lambda kind: isinstance(kind, str))
    return {text for text in texts if isinstance(text, str)}


def unknown(theirs: Any, ours: type[BaseModel], path: str, seen: set[Any]) -> Iterator[str]:
    if (theirs, ours) in seen:
        return
    seen.add((theirs, ours))
    hints = get_type_hints(theirs, include_extras=True)
    fields = {field.alias or name: field for name, field in ours.model_fields.items()}
    if issubclass(ours, RequestBody):
        for name in hints.keys() - fields.keys() - ours.refused.keys() - HEADERS:
            yield f"{path}.{name} ({theirs.__name__})"
    for name in hints.keys() & fields.keys():
        models = list(inside(fields[name].annotation, is_model))
        for one in inside(hints[name], is_typeddict):
            of_it = tags(get_type_hints(one, include_extras=True))
            for model in models:
                of_ours = tags({n: f.annotation for n, f in model.model_fields.items()})
                if not of_it or not of_ours or of_it & of_ours:
                    yield from unknown(one, model, f"{path}.{name}", seen)


@pytest.mark.parametrize(("route", "theirs"), OFFICIAL)
def test_every_nested_field_is_honoured_or_refused_by_name(route: str, theirs: Any) -> None:
    seen: set[Any] = set()
    assert list(unknown(theirs, REQUESTS[route], "", seen)) == []
    assert len(seen) > (1 if "completions" in route else 3)


def test_no_field_is_honoured_and_refused() -> None:
    kinds = [RequestBody]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert len(kinds) > 60
    for kind in kinds:
        assert not kind.refused.keys() & kind.model_fields.keys(), kind
        assert kind.neutral.keys() <= kind.refused.keys(), kind
