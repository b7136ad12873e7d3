"""An MCP server for tests, made with the official package: `python adder.py stdio`, or a transport
and a port."""

from __future__ import annotations

import os
import sys
import time

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts.base import AssistantMessage, Message, UserMessage
from mcp_types import ImageContent

server = MCPServer("adder")


@server.tool()
def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


@server.tool()
def fail() -> str:
    """Never works."""
    raise ValueError("out of order")


@server.tool()
def hang() -> str:
    """Never answers."""
    time.sleep(60)
    return "at last"


@server.tool()
def whoami() -> str:
    """What the server was started with."""
    return f"{os.environ.get('ADDER', '')} in {os.getcwd()}, process {os.getpid()}"


@server.tool()
def leave() -> str:
    """End the server."""
    os._exit(3)


@server.resource("notes://today", description="what to do")
def today() -> str:
    return "nothing"


@server.prompt()
def greet() -> str:
    """Greet the user."""
    return "Say hello."


@server.prompt()
def review(topic: str, tone: str = "kind") -> list[Message]:
    """Review something."""
    asked = UserMessage(f"Review {topic}, in a {tone} tone.")
    return [asked, AssistantMessage("What is it about?"), UserMessage(Image)]


Image = ImageContent(type="image", data="AAAA", mime_type="image/png")


async def over_sockets(port: int) -> None:
    """A session per web socket; the official package has no server of that kind."""
    import anyio
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter
    from websockets.asyncio.server import serve

    async def talk(socket) -> None:
        to_us, ours = anyio.create_memory_object_stream(0)
        theirs, to_them = anyio.create_memory_object_stream(0)

        async def read() -> None:
            async with to_us:
                async for data in socket:
                    message = jsonrpc_message_adapter.validate_json(data, by_name=False)
                    await to_us.send(SessionMessage(message))

        async def write() -> None:
            async for item in to_them:
                text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                await socket.send(text)

        inner = server._lowlevel_server
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(write)
            await inner.run(ours, theirs, inner.create_initialization_options())
            tasks.cancel_scope.cancel()

    async with serve(talk, "127.0.0.1", port, subprotocols=["mcp"]):
        await anyio.sleep_forever()


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    elif sys.argv[1] == "websocket":
        import asyncio

        asyncio.run(over_sockets(int(sys.argv[2])))
    else:
        server.run(sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]))
