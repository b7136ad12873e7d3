"""`tramontane mcp serve`: a model as the tools of an MCP server, over standard input and output."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from tramontane import LLM, SamplingParams, __version__
from tramontane.cli.options import add_model, add_threads, open_llm
from tramontane.cli.parser import Parser
from tramontane.errors import TramontaneError

SUMMARY = """\
Be an MCP server, over standard input and output, whose tools are a model's: chat, complete and
list_models. For programs that start their servers themselves; over HTTP: tramontane serve --mcp."""
ABOUT = "Ask a language model that runs on this machine."
MOST = 4096
"""Tokens of an answer, unless the caller wants fewer."""


def run(argv: list[str]) -> int:
    """Load the model, then serve until the other side closes."""
    parser = Parser("tramontane mcp serve", description=SUMMARY)
    add_model(parser)
    add_threads(parser)
    options = parser.parse_args(argv)
    with open_llm(options) as llm:
        server_of(llm, options.model).run("stdio")
    return 0


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Errors with a way out are the caller's to read."""
    try:
        yield
    except TramontaneError as error:
        raise ToolError(str(error)) from error


def server_of(llm: LLM, name: str) -> MCPServer:
    """The server. Answers are made in the engine's thread; several at once share its steps."""
    server: MCPServer = MCPServer(
        "tramontane", version=__version__, instructions=ABOUT, log_level="WARNING"
    )

    @server.tool()
    async def chat(
        message: str, system: str = "", max_tokens: int = MOST, temperature: float | None = None
    ) -> str:
        """Answer a message. system: instructions that come before it."""
        messages = [{"role": "system", "content": system}] if system else []
        asked = [*messages, {"role": "user", "content": message}]
        with told():
            params = SamplingParams(max_tokens=max_tokens, temperature=temperature)
            return (await asyncio.to_thread(llm.chat, asked, params)).content

    @server.tool()
    async def complete(prompt: str, max_tokens: int = 256, temperature: float | None = None) -> str:
        """Continue a text."""
        with told():
            params = SamplingParams(max_tokens=max_tokens, temperature=temperature)
            return (await asyncio.to_thread(llm.generate, prompt, params)).text

    @server.tool()
    async def list_models() -> list[str]:
        """The models that answer here."""
        return [name]

    return server
