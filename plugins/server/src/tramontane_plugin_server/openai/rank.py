"""POST /v1/rerank, as Cohere's and Jina's APIs have it, and /v1/score, as vLLM has it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field, model_validator

from tramontane_plugin_server.app_state import Serving, serving_of
from tramontane_plugin_server.http.access import spent
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.http.stream import while_here
from tramontane_plugin_server.ignored import Route

from .embeddings import EmbeddingUsage
from .fields import RequestBody, refuse
from .shapes import ERRORS, Shape

if TYPE_CHECKING:
    from tramontane.tasks.rank import RankOptions, Scores

router = APIRouter(route_class=Route)
MOST = 2048
"""Documents of a request."""
Model = Annotated[
    str | None,
    Field(max_length=512, description="absent or `default`: the first model of the server"),
]
Documents = Annotated[list[str], Field(min_length=1, max_length=MOST)]


class TextDocument(RequestBody):
    """A document as an object."""

    text: str


class RerankRequest(RequestBody):
    """A query, and documents to order."""

    model: Model = None
    query: str
    documents: Annotated[list[str | TextDocument], Field(min_length=1, max_length=MOST)]
    top_n: int | None = Field(None, ge=1, description="the best so many; absent: all")
    return_documents: bool | None = Field(None, description="return the documents too")
    instruction: str | None = Field(
        None, min_length=1, max_length=2**16,
        description="what makes a document relevant, for models that read it",
    )  # fmt: skip
    truncate: bool | None = Field(None, description="cut pairs that are too long")


class DocumentText(Shape):
    text: str


class RankedDocument(Shape):
    index: int
    relevance_score: float
    document: DocumentText | None


class Reranked(Shape):
    """The documents, the best first."""

    object: Literal["list"]
    model: str
    results: list[RankedDocument]
    usage: EmbeddingUsage


class ScoreRequest(RequestBody):
    """A text with each of several, or several with as many."""

    model: Model = None
    text_1: str | Documents
    text_2: str | Documents
    truncate: bool | None = Field(None, description="cut pairs that are too long")

    @model_validator(mode="after")
    def _pairs(self) -> ScoreRequest:
        one, two = self.text_1, self.text_2
        if isinstance(one, list) and (isinstance(two, str) or len(one) != len(two)):
            count = 1 if isinstance(two, str) else len(two)
            refuse(
                "text_1", f"text_1 has {len(one)} texts and text_2 {count}; give as many, or one"
            )
        return self


class Score(Shape):
    object: Literal["score"]
    index: int
    score: float | list[float]


class ScoredPairs(Shape):
    """The scores in the order of the pairs."""

    object: Literal["list"]
    model: str
    data: list[Score]
    usage: EmbeddingUsage


@router.post("/v1/rerank", response_model=Reranked, responses=ERRORS)
async def rerank(request: Request, body: RerankRequest) -> dict[str, Any]:
    """Documents in the order of how well they answer a query."""
    from tramontane.tasks.rank import RankOptions, ranked

    serving = serving_of(request)
    documents = [each if isinstance(each, str) else each.text for each in body.documents]
    options = RankOptions(instruction=body.instruction, truncate=bool(body.truncate))
    pairs = [(body.query, document) for document in documents]
    name, scores = await _scores(request, serving, body.model, pairs, options)
    if any(isinstance(value, tuple) for value in scores.values):
        raise ApiError(
            400, f"{name} gives several scores for a pair, so there is no best: POST /v1/score",
            param="model", code="model_not_supported",
        )  # fmt: skip
    return {
        "object": "list",
        "model": name,
        "results": [
            {
                "index": each.index,
                "relevance_score": each.score,
                "document": {"text": each.document} if body.return_documents else None,
            }
            for each in ranked(scores, documents, body.top_n)
        ],
        "usage": _usage(scores),
    }


@router.post("/v1/score", response_model=ScoredPairs, responses=ERRORS)
async def score(request: Request, body: ScoreRequest) -> dict[str, Any]:
    """Scores of pairs of texts."""
    from tramontane.tasks.rank import RankOptions

    serving = serving_of(request)
    two = [body.text_2] if isinstance(body.text_2, str) else body.text_2
    one = [body.text_1] * len(two) if isinstance(body.text_1, str) else body.text_1
    options = RankOptions(truncate=bool(body.truncate))
    pairs = list(zip(one, two, strict=True))
    name, scores = await _scores(request, serving, body.model, pairs, options)
    return {
        "object": "list",
        "model": name,
        "data": [
            {
                "object": "score",
                "index": index,
                "score": list(value) if isinstance(value, tuple) else value,
            }
            for index, value in enumerate(scores.values)
        ],
        "usage": _usage(scores),
    }


async def _scores(
    request: Request,
    serving: Serving,
    asked: str | None,
    pairs: Sequence[tuple[str, str]],
    options: RankOptions,
) -> tuple[str, Scores]:
    """The model's name, and what it says of the pairs. Raises ApiError."""

    async def made() -> tuple[str, Scores]:
        async with serving.catalog.lease(asked, "rank") as (served, model):
            runner = await asyncio.to_thread(model.runner, "rank")
            work = await asyncio.to_thread(runner.scores, pairs, options)
            found: Scores = await serving.work(model, served.name, "rank", work).finish()
        spent(served.name).add(prompt=sum(found.tokens))
        return served.answers_as(asked), found

    return await while_here(request, made(), serving.settings.request_timeout)


def _usage(scores: Scores) -> dict[str, int]:
    total = sum(scores.tokens)
    return {"prompt_tokens": total, "total_tokens": total}
