"""MCP clients, on the official `mcp` package: a transport per module."""
