"""docs/api.md and docs/compatibility.md are what the code and the clients' types say."""

from __future__ import annotations

import typing
from pathlib import Path

import anthropic
import openai
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_count_tokens_params as beta_count_params
from anthropic.types.beta import message_create_params as beta_create_params
from openai.types import completion_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import input_token_count_params, response_create_params
from tramontane_plugin_server import compatibility, description

DOCS = Path(__file__).parents[3] / "docs"


def fields(*kinds: type) -> set[str]:
    """The names that TypedDicts have, but for what the clients send as a header."""
    return {name for kind in kinds for name in typing.get_type_hints(kind)} - {"betas"}


OFFICIAL = {
    "POST /v1/chat/completions": fields(
        chat_create_params.CompletionCreateParamsNonStreaming,
        chat_create_params.CompletionCreateParamsStreaming,
    ),
    "POST /v1/completions": fields(
        completion_create_params.CompletionCreateParamsNonStreaming,
        completion_create_params.CompletionCreateParamsStreaming,
    ),
    "POST /v1/responses": fields(
        response_create_params.ResponseCreateParamsNonStreaming,
        response_create_params.ResponseCreateParamsStreaming,
    ),
    "POST /v1/responses/input_tokens": fields(input_token_count_params.InputTokenCountParams),
    "POST /v1/messages": fields(
        beta_create_params.MessageCreateParamsNonStreaming,
        beta_create_params.MessageCreateParamsStreaming,
        message_create_params.MessageCreateParamsNonStreaming,
        message_create_params.MessageCreateParamsStreaming,
    ),
    "POST /v1/messages/count_tokens": fields(
        message_count_tokens_params.MessageCountTokensParams,
        beta_count_params.MessageCountTokensParams,
    ),
}
VERSIONS = {"openai": openai.__version__, "anthropic": anthropic.__version__}


def test_the_reference_is_the_code() -> None:
    assert (DOCS / "api.md").read_text() == description.page(), "run: ./dev pages"


def test_every_official_field_is_honoured_or_refused_by_name() -> None:
    expected = compatibility.page(OFFICIAL, VERSIONS)
    path = DOCS / "compatibility.md"
    # what `./dev clients` found stands below, which is not tried here
    fields, _, _ = path.read_text().partition("\n## Clients\n")
    assert fields == expected, f"{path.name} should begin with:\n{expected}"
