"""An MCP server by hand, which answers as the official package would not.

`python raw.py [LINE ...]` first prints lines that are no messages.
"""

from __future__ import annotations

import json
import sys

LINK = {"type": "resource_link", "name": "notes", "uri": "file:///notes.txt"}
ABOUT = {"title": "My notes", "mimeType": "text/plain", "description": "of today"}
RESULTS = {
    "structured": {"content": [], "structuredContent": {"t": 21.5, "wo": "Zürich"}},
    "both": {"content": [{"type": "text", "text": "21.5 degrees"}], "structuredContent": {"t": 1}},
    "empty": {"content": [{"type": "text", "text": ""}], "structuredContent": {"t": 1}},
    "picture": {
        "content": [{"type": "image", "data": "AAAA", "mimeType": "image/png"}],
        "structuredContent": {"t": 1},
    },
    "link": {"content": [LINK]},
    "links": {"content": [{**LINK, **ABOUT}]},
    "nothing": {"content": []},
    "refused": {"content": [], "structuredContent": {"code": 7}, "isError": True},
    "failed": {"content": [], "isError": True},
}  # fmt: skip
SERVER = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
          "serverInfo": {"name": "raw", "version": "1"}}  # fmt: skip


def answer(method: str, given: dict) -> dict | None:
    if method == "initialize":
        return SERVER
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in RESULTS]}
    return RESULTS[given["name"]] if method == "tools/call" else None


for line in sys.argv[1:]:
    print(line, flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    found = answer(message["method"], message.get("params") or {})
    told = {"error": {"code": -32601, "message": "no such method"}} if found is None else {
        "result": found
    }  # fmt: skip
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **told}), flush=True)
