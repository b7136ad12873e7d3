"""The transports to MCP servers, and the command that looks at them."""

from collections.abc import Iterable

from tramontane.plugin import Command, McpClient, hookimpl

HERE = "tramontane_plugin_mcp"


@hookimpl
def mcp_clients() -> Iterable[McpClient]:
    """By the names that a configuration uses."""
    yield McpClient(name="stdio", connect=f"{HERE}.stdio:connect")
    yield McpClient(name="http", aliases=("streamable-http",), connect=f"{HERE}.http:connect")
    yield McpClient(name="sse", connect=f"{HERE}.sse:connect")
    yield McpClient(name="websocket", aliases=("ws",), connect=f"{HERE}.websocket:connect")


@hookimpl
def commands() -> Iterable[Command]:
    """`tramontane mcp`."""
    yield Command(
        name="mcp",
        summary="Look at MCP servers and call their tools, or be one.",
        run=f"{HERE}.command:run",
    )
