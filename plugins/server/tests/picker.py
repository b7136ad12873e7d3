"""An MCP server over stdio. Its only tool takes one of two words: any model can call it."""

from typing import Literal

from mcp.server.mcpserver import MCPServer

server = MCPServer("picker")


@server.tool()
def pick(which: Literal["first", "second"]) -> str:
    """Pick one."""
    return f"picked the {which}"


if __name__ == "__main__":
    server.run("stdio")
