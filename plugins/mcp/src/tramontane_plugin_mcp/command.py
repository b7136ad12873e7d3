"""`tramontane mcp`: look at servers of a configuration, and call their tools."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tramontane.cli.parser import Parser
from tramontane.errors import RequestError
from tramontane.mcp import McpServers, read_config
from tramontane.registry import Registry

EXAMPLES = """\
examples:
  tramontane mcp check --mcp-config servers.json
  tramontane mcp list --mcp-config servers.json
  tramontane mcp serve -m model.gguf
  tramontane mcp call --mcp-config servers.json files read '{"path": "notes.txt"}'
  tramontane mcp prompt --mcp-config servers.json files review '{"path": "notes.txt"}'
"""


def run(argv: list[str]) -> int:
    """The exit status is 1 where a server is down."""
    if argv[:1] == ["serve"]:
        from .serve import run as serve

        return serve(argv[1:])
    options = _parse(argv)
    registry = Registry.from_environment()
    config = read_config(options.mcp_config)
    if options.what in ("call", "prompt"):
        config = config.only(options.server)
    with _logged(), McpServers(config, registry) as servers:
        if options.what == "call":
            print(servers.call(options.server, options.tool, _arguments(options.arguments)))
            return 0
        if options.what == "prompt":
            arguments = _arguments(options.arguments)
            for message in servers.prompt(options.server, options.prompt, arguments):
                print(f"{message['role']}: {message['content']}")
            return 0
        for connection in servers.connections:
            name = connection.config.server.name
            if connection.session is None:
                print(f"{name}: down: {connection.trouble}")
                continue
            print(f"{name}: {len(connection.tools)} tools over {connection.config.transport}")
            if options.what == "list":
                _list(servers, connection)
        return int(any(connection.session is None for connection in servers.connections))


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    """What programs write is shown; that a server is down is this command's own to say."""
    handler = logging.StreamHandler()
    said, told = logging.getLogger("tramontane_plugin_mcp"), logging.getLogger("tramontane.mcp")
    levels = said.level, told.level
    said.setLevel(logging.INFO)
    told.setLevel(logging.ERROR)
    said.addHandler(handler)
    try:
        yield
    finally:
        said.removeHandler(handler)
        said.setLevel(levels[0])
        told.setLevel(levels[1])


def _list(servers: McpServers, connection: Any) -> None:
    for tool in connection.tools:
        wanted = ", ".join(tool.parameters.get("properties", {}))
        print(f"  {tool.name}({wanted}): {' '.join(tool.description.split()):.100}".rstrip(": "))
    name = connection.config.server.name
    for uri, about in servers.resources(name):
        print(f"  resource {uri}: {about}")
    for prompt in servers.prompts(name):
        wanted = ", ".join(arg if must else f"{arg}?" for arg, must in prompt.arguments.items())
        print(f"  prompt {prompt.name}({wanted}): {prompt.description}".rstrip(": "))


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise RequestError(f"the arguments {text!r:.60} are not JSON: {error}") from error
    if not isinstance(value, dict):
        raise RequestError(f"the arguments {text!r:.60} should be an object")
    return value


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        "tramontane mcp",
        description="Look at MCP servers and call their tools, or be one.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for what, summary in (
        ("check", "say which servers are up"),
        ("list", "their tools, resources and prompts"),
        ("call", "call a tool"),
        ("prompt", "print a prompt's messages"),
        ("serve", "be a server: a model's answers as tools, over standard input and output"),
    ):
        sub = subparsers.add_parser(what, help=summary, description=summary)
        if what == "serve":  # its options are those of a model
            continue
        sub.add_argument(
            "--mcp-config", type=Path, required=True, metavar="FILE", help="which servers there are"
        )
        if what in ("call", "prompt"):
            thing = "tool" if what == "call" else "prompt"
            sub.add_argument("server", help="its name in the configuration")
            sub.add_argument(thing, help="the server's own name for it")
            sub.add_argument("arguments", nargs="?", default="{}", help="a JSON object")
    return parser.parse_args(argv)
