"""POST /tokenize and /detokenize, as vLLM has them, and /v1/embeddings' refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, model_validator

from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.serving import serving_of

from .chat_request import Message
from .fields import Asked, TokenId
from .shapes import ERRORS, Shape

router = APIRouter()


class TokenizeRequest(Asked):
    """A text, or a conversation."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [
        {"properties": {given: {"not": {"type": "null"}}, other: {"type": "null"}},
         "required": [given]}
        for given, other in (("prompt", "messages"), ("messages", "prompt"))
    ]})  # fmt: skip

    model: str | None = Field(None, max_length=512, description="none, or default: the first")
    prompt: str | None = Field(None, description="a text, without the chat template")
    messages: list[Message] | None = Field(
        None, min_length=1, description="a conversation, through the chat template"
    )
    add_special_tokens: bool = Field(True, description="before a text")
    add_generation_prompt: bool = Field(True, description="after a conversation")
    chat_template_kwargs: dict[str, Any] | None = Field(
        None, description="more variables for the chat template"
    )

    @model_validator(mode="after")
    def _one(self) -> TokenizeRequest:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give prompt or messages, one of the two")
        return self


class Tokenized(Shape):
    count: int
    max_model_len: int
    tokens: list[int]


class DetokenizeRequest(Asked):
    """Token ids."""

    model: str | None = Field(None, max_length=512, description="none, or default: the first")
    tokens: list[TokenId]


class Detokenized(Shape):
    prompt: str


class EmbeddingRequest(Asked):
    """What OpenAI's clients send."""

    refused: ClassVar[Mapping[str, str]] = {}
    input: str | list[Any]
    model: str | None = Field(None, max_length=512, description="none, or default: the first")
    encoding_format: str | None = None
    dimensions: int | None = None
    user: str | None = None


@router.post("/tokenize", response_model=Tokenized, responses=ERRORS)
async def tokenize(request: Request, asked: TokenizeRequest) -> dict[str, Any]:
    """Token ids of a text, or of a conversation as the chat template writes it."""
    serving = serving_of(request)
    async with serving.catalog.lease(asked.model) as (_, model):
        if asked.messages is not None:
            given = [message.model_dump(exclude_unset=True) for message in asked.messages]
            more = {
                **(asked.chat_template_kwargs or {}),
                "add_generation_prompt": asked.add_generation_prompt,
            }
            if "messages" in more:
                raise ApiError(400, "chat_template_kwargs cannot set messages")
            tokens = await serving.encode_chat(model, given, **more)
        else:
            text, special = asked.prompt or "", asked.add_special_tokens
            encode = model.tokenizer.encode
            tokens = tuple(await asyncio.to_thread(encode, text, add_special=special))
        length = model.engine.context_length
    return {"count": len(tokens), "max_model_len": length, "tokens": list(tokens)}


@router.post("/detokenize", response_model=Detokenized, responses=ERRORS)
async def detokenize(request: Request, asked: DetokenizeRequest) -> dict[str, Any]:
    """The text of token ids."""
    serving = serving_of(request)
    async with serving.catalog.lease(asked.model) as (_, model):
        size = model.loaded.config.vocab_size
        for token in asked.tokens:
            if token >= size:
                raise ApiError(
                    400, f"token {token} is outside the vocabulary of {size}", param="tokens"
                )
        decode = model.tokenizer.decode
        return {"prompt": await asyncio.to_thread(decode, asked.tokens, skip_special=False)}


@router.post("/v1/embeddings", responses=ERRORS)
async def embeddings(request: Request, asked: EmbeddingRequest) -> dict[str, Any]:
    """Refused: no model here makes embeddings."""
    served = serving_of(request).catalog.find(asked.model)
    raise ApiError(
        400, f"{served.name} generates text; embeddings need an embedding model: none is here",
        param="model", code="model_not_supported",
    )  # fmt: skip
