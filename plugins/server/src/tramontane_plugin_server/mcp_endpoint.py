"""POST /mcp: the models as tools of an MCP server, beside the other APIs and under their keys."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from tramontane.chat.toolbox import Toolbox
from tramontane.errors import ConfigError, TramontaneError
from tramontane.sampling_params import SamplingParams

from .app_state import Serving
from .http.errors import api_error
from .tool_loop import prepare_async

if TYPE_CHECKING:
    from fastapi import FastAPI

ABOUT = "Ask language models."
MOST, MOST_TEXT = 4096, 256
"""Tokens of an answer, and of a text that goes on, unless the caller says how many."""


def add(app: FastAPI, serving: Serving) -> AbstractAsyncContextManager[Any]:
    """Add the path; returns what must be entered while it is served. Raises ConfigError."""
    try:
        from mcp.server.mcpserver import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
    except ImportError as error:
        raise ConfigError(
            "--mcp needs the mcp package; to get it: pip install tramontane-plugin-mcp"
        ) from error
    server: MCPServer = MCPServer(
        "tramontane", version=app.version, instructions=ABOUT, log_level="WARNING"
    )

    @contextlib.asynccontextmanager
    async def as_tool_errors() -> AsyncIterator[None]:
        """Errors with a way out are the caller's to read."""
        try:
            yield
        except TramontaneError as error:
            raise ToolError(str(api_error(error))) from error

    def params_of(
        tokens: int | None, most: int, temperature: float | None, model: str | None
    ) -> SamplingParams:
        """tokens: what was asked for; else as many as are sensible and the server gives. model: or
        an adapter."""
        if tokens is None:
            tokens = min(most, serving.settings.max_new_tokens or most)
        adapter = serving.catalog.adapter_of(model)
        return SamplingParams(max_tokens=tokens, temperature=temperature, adapter=adapter)

    @server.tool()
    async def chat(
        message: str,
        model: str | None = None,
        system: str = "",
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> str:
        """Answer a message. system: instructions that come before it."""
        messages = [{"role": "system", "content": system}] if system else []
        asked = [*messages, {"role": "user", "content": message}]
        async with as_tool_errors(), serving.catalog.lease(model) as (served, loaded):
            params = params_of(max_tokens, MOST, temperature, model)
            prepared = await prepare_async(serving, loaded, asked, params, Toolbox(), {}, {})
            with serving.generate(loaded, served.name, prepared.requests) as generation:
                (result,) = await generation.finish()
        return prepared.turn.parser().whole(result.text).content

    @server.tool()
    async def complete(
        prompt: str,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> str:
        """Continue a text."""
        async with as_tool_errors(), serving.catalog.lease(model) as (served, loaded):
            params = serving.limited(params_of(max_tokens, MOST_TEXT, temperature, model))
            tokens = await serving.encode(loaded, prompt)
            requests = loaded.requests(tokens, params, continues=True)
            with serving.generate(loaded, served.name, requests) as generation:
                (result,) = await generation.finish()
        return result.text

    @server.tool()
    async def list_models() -> list[str]:
        """The models that answer here, and their adapters."""
        catalog = serving.catalog
        return [*catalog.models, *(n for s in catalog.models.values() for n in s.adapters)]

    # the host decides which names a browser may call it by
    inner = server.streamable_http_app(
        json_response=True, stateless_http=True, host=serving.settings.host
    )
    app.router.routes.extend(inner.routes)
    return server.session_manager.run()
