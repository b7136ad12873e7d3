"""POST /tokenize and /detokenize, as vLLM has them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from tramontane.chat.toolbox import Toolbox
from tramontane.sampling_params import SamplingParams

from tramontane_plugin_server.app_state import serving_of
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.ignored import Route
from tramontane_plugin_server.tool_loop import prepare_async

from .chat_request import Message, as_messages
from .fields import RequestBody, TokenId, refuse
from .shapes import ERRORS, Shape
from .tool_fields import MAX_TOOLS, AnyTool, tools_of

if TYPE_CHECKING:
    from tramontane.model.loaded_model import LoadedModel

router = APIRouter(route_class=Route)


NULL: JsonDict = {"type": "null"}
GIVEN: JsonDict = {"not": NULL}
NO_TOOLS: JsonDict = {"enum": [None, []]}
ONE: JsonDict = {"anyOf": [
    {"properties": {"prompt": GIVEN, "messages": NULL, "tools": NO_TOOLS}, "required": ["prompt"]},
    {"properties": {"prompt": NULL, "messages": GIVEN}, "required": ["messages"]},
]}  # fmt: skip
"""A schema of objects that have a prompt, or messages and their tools."""


class TokenizeRequest(RequestBody):
    """A text, or a conversation."""

    model_config = ConfigDict(json_schema_extra=ONE)

    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )
    prompt: str | None = Field(None, description="a text, encoded without the chat template")
    messages: list[Message] | None = Field(
        None, min_length=1, description="a conversation, rendered by the chat template"
    )
    add_special_tokens: bool = Field(True, description="add special tokens before a text")
    add_generation_prompt: bool = Field(True, description="start a new answer after a conversation")
    tools: list[AnyTool] | None = Field(
        None, max_length=MAX_TOOLS, description="tools of the conversation, as in chat"
    )
    chat_template_kwargs: dict[str, Any] | None = Field(
        None, description="variables of the chat template"
    )
    return_token_strs: bool | None = Field(
        None, description="return the text of each token, as `token_strs`"
    )
    with_pieces: bool | None = Field(
        None,
        description="return tokens as objects of `id` and `piece`, a text or its bytes",
    )

    @model_validator(mode="after")
    def _one(self) -> TokenizeRequest:
        if (self.prompt is None) == (self.messages is None):
            refuse("prompt", "give either prompt or messages")
        if self.tools and self.messages is None:
            refuse("tools", "tools require messages")
        return self


class Piece(Shape):
    id: int
    piece: str | list[int]


class Tokenized(Shape):
    model_config = ConfigDict(json_schema_serialization_defaults_required=False)
    count: int
    max_model_len: int
    tokens: list[int] | list[Piece]
    token_strs: list[str] | None = None


class DetokenizeRequest(RequestBody):
    """Token ids."""

    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )
    tokens: list[TokenId]


class Detokenized(Shape):
    prompt: str


@router.post(
    "/tokenize", response_model=Tokenized, response_model_exclude_unset=True, responses=ERRORS
)
async def tokenize(request: Request, body: TokenizeRequest) -> dict[str, Any]:
    """Token ids of a text, or of a conversation as the chat template writes it."""
    serving = serving_of(request)
    async with serving.catalog.lease(body.model) as (_, model):
        if body.messages is not None:
            given = as_messages(body.messages)
            more = {
                **(body.chat_template_kwargs or {}),
                "add_generation_prompt": body.add_generation_prompt,
            }
            for name in ("messages", "tools"):
                if name in more:
                    raise ApiError(
                        400, f"chat_template_kwargs cannot set {name}", param="chat_template_kwargs"
                    )
            toolbox = Toolbox(tools_of(body.tools))
            prepared = await prepare_async(
                serving, model, given, SamplingParams(), toolbox, more, {}
            )
            tokens = prepared.requests[0].prompt
        else:
            text, special = body.prompt or "", body.add_special_tokens
            encode = model.tokenizer.encode
            tokens = tuple(await asyncio.to_thread(encode, text, add_special=special))
        length = model.engine.context_length
        found: dict[str, Any] = {
            "count": len(tokens),
            "max_model_len": length,
            "tokens": list(tokens),
        }
        if body.return_token_strs or body.with_pieces:
            pieces = await asyncio.to_thread(_pieces, model, tokens)
            if body.return_token_strs:
                found["token_strs"] = [piece.decode("utf-8", "replace") for piece in pieces]
            if body.with_pieces:
                found["tokens"] = [
                    {"id": token, "piece": _text_or_bytes(piece)}
                    for token, piece in zip(tokens, pieces, strict=True)
                ]
    return found


def _pieces(model: LoadedModel, tokens: Sequence[int]) -> list[bytes]:
    """The bytes of each token."""
    return [model.tokenizer.token_bytes(token) for token in tokens]


def _text_or_bytes(piece: bytes) -> str | list[int]:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return list(piece)


@router.post("/detokenize", response_model=Detokenized, responses=ERRORS)
async def detokenize(request: Request, body: DetokenizeRequest) -> dict[str, Any]:
    """The text of token ids."""
    serving = serving_of(request)
    async with serving.catalog.lease(body.model) as (_, model):
        size = model.loaded.config.vocab_size
        for token in body.tokens:
            if token >= size:
                raise ApiError(
                    400, f"token {token} is outside the vocabulary of {size}", param="tokens"
                )
        decode = model.tokenizer.decode
        return {"prompt": await asyncio.to_thread(decode, body.tokens, skip_special=False)}
