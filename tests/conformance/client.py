"""What the suite starts as a client, with a server's URL as the last argument."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .scenarios import CALLS


def main() -> int:
    """List the server's tools, or call the one that the scenario is about."""
    config = {"mcpServers": {"suite": {"type": "http", "url": sys.argv[-1]}}}
    call = CALLS.get(os.environ.get("MCP_CONFORMANCE_SCENARIO", ""))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "servers.json")
        path.write_text(json.dumps(config))
        what = ["list"] if call is None else ["call"]
        command = [sys.executable, "-m", "tramontane", "mcp", *what, "--mcp-config", str(path)]
        return subprocess.run(
            [*command, *(("suite", *call) if call else ())], check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
