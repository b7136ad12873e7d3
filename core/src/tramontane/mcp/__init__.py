"""Tools of MCP servers: what a configuration says, and connections that are kept open."""

from .config import McpConfig, ServerConfig, read_config
from .servers import McpServers

__all__ = ["McpConfig", "McpServers", "ServerConfig", "read_config"]
