"""GET /health, /ready and /metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from .app_state import serving_of
from .openai.shapes import ERRORS, Shape

router = APIRouter()


class State(Shape):
    status: str


@router.get("/health", response_model=State, responses={503: {"model": State}})
async def health(request: Request) -> Response:
    """Whether the server is alive; 503: a restart would help. Needs no key."""
    if _lost(request):
        return JSONResponse({"status": "a model's device or rank is lost: restart"}, 503)
    return JSONResponse({"status": "ok"})


@router.get("/ready", response_model=State, responses={503: {"model": State}, 401: ERRORS[401]})
async def ready(request: Request) -> Response:
    """Whether requests are answered now: the models of the start are loaded."""
    catalog = serving_of(request).catalog
    missing = [
        served.name
        for served in catalog.models.values()
        if served.settings.load == "start" and served.may_load and served.model is None
    ]
    if catalog.draining or missing:
        said = "stopping" if catalog.draining else f"loading {', '.join(missing)}"
        return JSONResponse({"status": said}, 503)
    if lost := _lost(request):
        return JSONResponse({"status": lost}, 503)
    return JSONResponse({"status": "ready"})


def _lost(request: Request) -> str:
    """The first model that computes nothing any more, and why; empty: all do."""
    for served in serving_of(request).catalog.models.values():
        engine = getattr(served.model, "engine", None)
        if engine is not None and engine.lost:
            return f"{served.name}: restart: {engine.lost}"
    return ""


@router.get("/metrics", response_class=PlainTextResponse, responses={401: ERRORS[401]})
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    return Response(serving_of(request).metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)
