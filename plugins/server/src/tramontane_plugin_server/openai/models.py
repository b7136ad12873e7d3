"""GET /v1/models, and loading and unloading them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from tramontane_plugin_server.anthropic.models import Page, as_dict, page
from tramontane_plugin_server.anthropic.shapes import ModelInfo, ModelPage
from tramontane_plugin_server.app_state import serving_of
from tramontane_plugin_server.http.errors import anthropic
from tramontane_plugin_server.ignored import Route, pass_over
from tramontane_plugin_server.model_manager import Served

from .fields import RequestBody
from .shapes import ERRORS, Model, Models, Shape

if TYPE_CHECKING:
    from tramontane.tasks.opening import Opened

router = APIRouter(route_class=Route)
ADMIN = {**ERRORS, 403: {**ERRORS[401], "description": "The API key is not an admin key"}}


class ModelReference(RequestBody):
    """Which model."""

    model_id: str = Field(min_length=1, max_length=512)


class Status(Shape):
    model_id: str
    status: str


@router.get(
    "/v1/models", response_model=Models | ModelPage, responses={400: ERRORS[400], 401: ERRORS[401]}
)
async def models(request: Request, which: Annotated[Page, Query()]) -> dict[str, Any]:
    """The models that are here, loaded or not, under each of their names, and their adapters, whose
    `parent` is their model. With the header
    `anthropic-version`: in the form of Anthropic's API, page by page."""
    catalog = serving_of(request).catalog
    listed = catalog.listed()
    if anthropic(request.scope):
        return page(listed, which)
    if which.model_fields_set:  # OpenAI's list has no pages
        pass_over(request, {f"?{name}": None for name in sorted(which.model_fields_set)})
    paths = serving_of(request).settings.show_model_paths
    return {"object": "list", "data": [_model_dict(*one, paths=paths) for one in listed]}


@router.get("/v1/models/{model_id:path}", response_model=Model | ModelInfo, responses=ERRORS)
async def model(request: Request, model_id: str) -> dict[str, Any]:
    """One of them."""
    serving = serving_of(request)
    served = serving.catalog.find(model_id)
    named = model_id in served.names or model_id in served.adapters
    name = model_id if named else served.name
    if anthropic(request.scope):
        return as_dict(served, name)
    return _model_dict(served, name, paths=serving.settings.show_model_paths)


@router.post("/v1/models/unload", response_model=Status, responses=ADMIN)
async def unload(request: Request, body: ModelReference) -> dict[str, str]:
    """Free a model's memory once it has answered what it is answering; requests do not bring it
    back. Where there are keys, it needs an admin key."""
    served = serving_of(request).catalog.find_model(body.model_id)
    served.may_load = False
    await served.unload()
    return _status(served)


@router.post("/v1/models/reload", response_model=Status, responses=ADMIN)
async def reload(request: Request, body: ModelReference) -> dict[str, str]:
    """Load a model, if it is not. Where there are keys, it needs an admin key."""
    served = serving_of(request).catalog.find_model(body.model_id)
    await served.load()
    return _status(served)


@router.post("/v1/models/status", response_model=Status, responses=ERRORS)
async def status(request: Request, body: ModelReference) -> dict[str, str]:
    """Whether a model is loaded."""
    return _status(serving_of(request).catalog.find_model(body.model_id))


def _status(served: Served) -> dict[str, str]:
    return {"model_id": served.name, "status": served.status}


def _root(served: Served, name: str) -> str:
    adapter = served.adapters.get(name)
    return served.settings.model if adapter is None else adapter.source


def _modalities(model: Opened) -> list[str]:
    kinds = () if model.task_only else model.processors
    return ["text", *kinds]


def _model_dict(served: Served, name: str, *, paths: bool) -> dict[str, Any]:
    """paths: whether `root` is where the model was loaded from, a path of the server's."""
    return {
        "id": name,
        "object": "model",
        "created": served.created,
        "owned_by": "tramontane",
        "root": _root(served, name) if paths else served.answers_as(name),
        "parent": served.name if name in served.adapters else None,
        "status": served.status,
        "max_model_len": served.model.most_tokens if served.model else None,
        "tasks": list(served.model.tasks) if served.model else None,
        "input_modalities": _modalities(served.model) if served.model else None,
    }
