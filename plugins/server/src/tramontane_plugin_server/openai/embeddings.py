"""POST /v1/embeddings."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from tramontane_plugin_server.app_state import Serving, serving_of
from tramontane_plugin_server.http.access import spent
from tramontane_plugin_server.http.stream import while_here
from tramontane_plugin_server.ignored import Route

from .fields import RequestBody, TokenId
from .shapes import ERRORS, Shape

if TYPE_CHECKING:
    from tramontane.tasks.embed import Embeddings

router = APIRouter(route_class=Route)
MOST = 2048
"""Texts of a request, as many as OpenAI takes."""
Tokens = Annotated[list[TokenId], Field(min_length=1)]


class EmbeddingRequest(RequestBody):
    """A text or several, or their token ids."""

    input: (
        str
        | Annotated[list[str], Field(min_length=1, max_length=MOST)]
        | Tokens
        | Annotated[list[Tokens], Field(min_length=1, max_length=MOST)]
    )
    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(
        None, ge=1, le=2**20, description="the first so many numbers of each vector"
    )
    user: str | None = None
    prompt_name: str | None = Field(
        None, min_length=1, max_length=256,
        description="which of the model's prompts is put before each text",
    )  # fmt: skip
    pooling: Literal["cls", "mean", "max", "last"] | None = Field(
        None, description="how the vectors of tokens become one; absent: as the model says"
    )
    normalize: bool | None = Field(
        None, description="make vectors of length 1 where the model does not"
    )
    truncate: bool | None = Field(None, description="cut texts that are too long")


class Vector(Shape):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Shape):
    prompt_tokens: int
    total_tokens: int


class Vectors(Shape):
    """The vectors in the order of the texts."""

    object: Literal["list"]
    model: str
    data: list[Vector]
    usage: EmbeddingUsage


@router.post("/v1/embeddings", response_model=Vectors, responses=ERRORS)
async def embeddings(request: Request, body: EmbeddingRequest) -> Response:
    """Vectors of texts: of a model for it, or the mean of a text model's hidden states."""
    serving = serving_of(request)
    made = await while_here(request, _made(serving, body), serving.settings.request_timeout)
    # millions of numbers take a while to write
    return Response(await asyncio.to_thread(json.dumps, made), media_type="application/json")


async def _made(serving: Serving, body: EmbeddingRequest) -> dict[str, Any]:
    from tramontane.tasks.embed import EmbedOptions

    options = EmbedOptions(
        dimensions=body.dimensions,
        prompt_name=body.prompt_name,
        pooling=body.pooling or "auto",
        normalize=bool(body.normalize),
        truncate=bool(body.truncate),
    )
    given: Any = body.input
    if isinstance(given, str) or isinstance(given[0], int):
        given = [given]
    async with serving.catalog.lease(body.model, "embed") as (served, model):
        runner = await asyncio.to_thread(model.runner, "embed")
        work = await asyncio.to_thread(runner.embed, given, options)
        found: Embeddings = await serving.work(model, served.name, "embed", work).finish()
    spent(served.name).add(prompt=found.total_tokens)
    encoded = body.encoding_format == "base64"
    return {
        "object": "list",
        "model": served.answers_as(body.model),
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode()
                if encoded
                else vector.tolist(),
            }
            for index, vector in enumerate(found.vectors)
        ],
        "usage": {"prompt_tokens": found.total_tokens, "total_tokens": found.total_tokens},
    }
