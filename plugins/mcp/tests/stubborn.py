"""An MCP server over stdio that neither the end of its input nor a polite signal ends."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from mcp.server.mcpserver import MCPServer

signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=time.sleep, args=(600,)).start()
Path(sys.argv[1]).write_text(str(os.getpid()))
MCPServer("stubborn").run("stdio")
