"""All routes, and what every request passes on its way to one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from tramontane import __version__
from tramontane.errors import TramontaneError

from . import agent_routes, docs_page, health, mcp_endpoint, plugin_pages
from .anthropic import messages
from .app_state import Serving
from .http.access import Access
from .http.body import Body
from .http.errors import handle
from .http.hosts import Hosts
from .http.keys import Keys
from .http.methods import Methods
from .limits import Described
from .openai import (
    adapters,
    chat,
    completions,
    embeddings,
    images,
    models,
    rank,
    requantize,
    response_counting,
    responses,
    speech,
    tokens,
    transcriptions,
)

ABOUT = "Models over HTTP, in the forms of OpenAI's and Anthropic's APIs."


def build(serving: Serving) -> ASGIApp:
    """The application; loading its models is its server's business.

    Raises ConfigError, and PluginConflict for two pages at one path.
    """
    settings = serving.settings
    app = Described(
        title="Tramontane",
        version=__version__,
        description=ABOUT,
        lifespan=_lifespan,
        docs_url=None,  # they fetch their scripts from elsewhere
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.settings = settings
    app.state.serving = serving
    for kind in (TramontaneError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)
    for part in (
        chat, completions, images, response_counting, responses, messages, models, adapters,
        requantize, tokens, embeddings, rank, transcriptions, speech, health, docs_page,
        agent_routes,
    ):  # fmt: skip
        app.include_router(part.router)
    app.state.within = mcp_endpoint.add(app, serving) if settings.mcp else contextlib.nullcontext()
    opened = plugin_pages.add(app) if settings.pages else frozenset()
    found: ASGIApp = Methods(app, app.router.routes)
    found = Body(found, settings.max_body, settings.body_timeout)
    found = Keys(found, serving.keys, {*settings.open_path, *opened}, serving.metrics)
    if settings.uds is None:
        found = Hosts(found, serving.keys, (settings.host, *settings.allowed_host))
    if settings.cors_origin:
        found = CORSMiddleware(
            found,
            allow_origins=settings.cors_origin,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=["request-id", "x-request-id", "x-tramontane-ignored", "retry-after"],
        )
    return Access(found, settings.access_log, serving.metrics)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    serving: Serving = app.state.serving
    tasks = []
    if serving.settings.idle_unload is not None:
        idle = serving.catalog.unload_idle(serving.settings.idle_unload)
        tasks.append(asyncio.create_task(idle))
    try:
        async with app.state.within:
            yield
    finally:
        for task in tasks:
            task.cancel()
        await serving.responses.close()
        await serving.catalog.close()
        if serving.dispatch is not None:
            await serving.dispatch.close()
        if serving.acting is not None:
            await asyncio.to_thread(serving.acting.close)
