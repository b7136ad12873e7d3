"""Tools that run elsewhere: each call of them is a POST to an address that the owner gave."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from tramontane.chat.toolbox import Function, Toolbox
from tramontane.errors import ConfigError, RequestError, TramontaneError
from tramontane.mcp.config import expanded
from tramontane.problems import first_problem
from tramontane.sanitize import one_line
from tramontane.tools import Tool

from .openai.response_tools import AnyTool, FlatTool
from .openai.tool_fields import FUNCTIONS_ONLY

if TYPE_CHECKING:
    import httpx2

    from .settings import Settings

log = logging.getLogger(__name__)
LONGEST_BODY = 1 << 20
"""Bytes of an answer; more is an error. What a model is shown of it is bounded again."""
LONGEST_TROUBLE = 500
"""Characters of what comes with a bad status, that a model is told."""
HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*(\S(?:.*\S)?)")
ALL = "*"


class Dispatch:
    """Which tools these are, and the way there; everything but making one runs in the server's
    loop.

    tools: those that the owner added to every chat. Raises ConfigError.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.tool_dispatch_url is not None
        self._url = settings.tool_dispatch_url
        self._names = frozenset(settings.tool_dispatch_names)
        self._timeout = settings.tool_dispatch_timeout
        self._slots = asyncio.Semaphore(settings.tool_dispatch_concurrency)
        self._headers = dict(_header(line) for line in settings.tool_dispatch_header)
        self._trust = _trust(settings.tool_dispatch_ca)
        self._open: httpx2.AsyncClient | None = None
        path = settings.tool_dispatch_tools
        self.tools = [] if path is None else read_tools(path)

    def functions(self, client_tools: Sequence[Tool]) -> list[Function]:
        """The tools of a chat that run there. theirs: the request's own, of which none runs there
        unless the owner said so; one of them stands before the owner's tool of that name."""
        taken = {tool.name for tool in client_tools}
        sent = [tool for tool in client_tools if ALL in self._names or tool.name in self._names]
        added = [tool for tool in self.tools if tool.name not in taken]
        return [self._function(tool) for tool in (*sent, *added)]

    async def close(self) -> None:
        """Close the connections."""
        if self._open is not None:
            await self._open.aclose()

    def _function(self, tool: Tool) -> Function:
        async def run(**arguments: Any) -> Any:
            try:
                async with self._slots:
                    return _said(await self._post(tool.name, arguments))
            except TramontaneError as error:
                log.warning("tools at %s: %s", self._url, error)
                raise
            except asyncio.CancelledError:  # its time is up, or nobody waits for the answer
                log.warning("tools at %s: %s: no answer so far", self._url, tool.name)
                raise

        return Function(tool, run, timeout=self._timeout)

    async def _post(self, name: str, arguments: dict[str, Any]) -> bytes:
        """The body of the answer. Raises TramontaneError for anything but an answer."""
        import httpx2

        async with AsyncExitStack() as stack:
            try:
                response = await stack.enter_async_context(
                    self._client().stream(
                        "POST", self._url, json={"name": name, "arguments": arguments}
                    )
                )
                body = await _bounded(name, response)
            except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError) as error:
                said = one_line(error) or type(error).__name__
                raise TramontaneError(f"{name}: the tool server failed: {said}") from error
        if response.is_success:
            return body
        if response.is_redirect:
            raise TramontaneError(
                f"{name}: the tool server answered {response.status_code}, and redirects are not "
                "followed"
            )
        said = one_line(body.decode("utf-8", "replace"), LONGEST_TROUBLE)
        raise TramontaneError(
            f"{name}: the tool server answered {response.status_code}{': ' if said else ''}{said}"
        )

    def _client(self) -> httpx2.AsyncClient:
        import httpx2

        if self._open is None:
            self._open = httpx2.AsyncClient(
                # without compression a small answer cannot become a large one
                headers={"accept-encoding": "identity", **self._headers},
                verify=self._trust,
                timeout=self._timeout,
                follow_redirects=False,
                trust_env=False,  # neither ~/.netrc nor a proxy gets what is for this address
            )
        return self._open


async def _bounded(name: str, response: httpx2.Response) -> bytes:
    coding = response.headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        raise TramontaneError(f"{name}: the tool server's answer is compressed ({coding:.20})")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > LONGEST_BODY:
            raise TramontaneError(
                f"{name}: the tool server's answer is longer than {LONGEST_BODY:,} bytes"
            )
    return bytes(body)


def _said(body: bytes) -> Any:
    """What a tool said: the `content` of an object, other JSON as it is, or plain text."""
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict) and "content" in value:
        return value["content"]
    return value if isinstance(value, str) else text


def read_tools(path: Path) -> list[Tool]:
    """Tools of a JSON file, in the form of OpenAI's APIs. Raises ConfigError."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read tools from {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    if isinstance(value, dict) and value.keys() == {"tools"}:
        value = value["tools"]
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{path} should be a list of tools, as requests have them")
    try:
        found = TypeAdapter(list[AnyTool]).validate_python(value)
    except ValidationError as error:
        problem = first_problem(error, value)
        said = problem.about(".".join(map(str, problem.path)))
        raise ConfigError(f"{path}: tool {said}") from error
    tools: list[Tool] = []
    for place, one in enumerate(found):
        if not isinstance(one, FlatTool):
            raise ConfigError(f"{path}: tool {place}: {FUNCTIONS_ONLY}")
        if one.model_extra:  # a slip of the owner's, and no client's way of writing
            raise ConfigError(
                f"{path}: tool {place}: unknown field {next(iter(one.model_extra))!r}"
            )
        tools.append(one.tool())
    try:
        Toolbox(tools)
    except RequestError as error:
        raise ConfigError(f"{path}: {error}") from error
    return tools


def _header(line: str) -> tuple[str, str]:
    """`NAME: VALUE`, of which the environment may have parts; no error shows the value."""
    name, value = line.partition(":")[::2]
    found = HEADER.fullmatch(f"{name}:{expanded(value, f'tool_dispatch_header: {name}')}")
    if found is None:
        raise ConfigError(f"tool_dispatch_header: should be 'NAME: VALUE', not '{name:.40}...'")
    return found[1], found[2]


def _trust(path: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot read certificates from {path}: {error}") from error
