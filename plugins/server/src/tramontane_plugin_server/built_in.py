"""Tools that OpenAI's and Anthropic's servers bring: here those are toolsets that the owner turned
on. A request gets them whether it names them or not; where it does, their calls are told in the
form of its API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from .openai.tool_fields import UnsupportedTool

Record = Mapping[str, Any]
"""A call that ran, as `ToolLoop.calls_made` has it."""
SEARCH, PYTHON = "search", "python"


def toolset_of(kind: str) -> str | None:
    """The toolset that does what a type of tool is for: `web_search_20250305` and the like."""
    if kind.startswith("web_search"):
        return SEARCH
    if kind == "code_interpreter" or kind.startswith("code_execution"):
        return PYTHON
    return None


def asked_for(tools: Iterable[Any] | None) -> frozenset[str]:
    """The toolsets whose tools a request names."""
    kinds = [one.what.removeprefix("type=") for one in tools or () if is_other(one)]
    return frozenset(name for kind in kinds if (name := toolset_of(kind)) is not None)


def is_other(tool: Any) -> bool:
    """Whether a request's tool is none of its own functions."""
    return isinstance(tool, UnsupportedTool)


def response_item(toolset: str, record: Record) -> dict[str, Any] | None:
    """A call as an item of a response; None: one that has no such form."""
    given = arguments_of(record)
    status = "failed" if failed(record) else "completed"
    if toolset == SEARCH:
        sources = [{"type": "url", "url": one["url"]} for one in record.get("citations", ())]
        if "query" in given and record["name"] == "search_web":
            query = str(given["query"])
            action = {"type": "search", "query": query, "queries": [query], "sources": sources}
        else:
            action = {"type": "open_page", "url": str(given.get("url", ""))}
        identity = f"ws_{uuid.uuid4().hex}"
        return {"id": identity, "type": "web_search_call", "status": status, "action": action}
    if "code" not in given:
        return None
    return {
        "id": f"ci_{uuid.uuid4().hex}",
        "type": "code_interpreter_call",
        "status": status,
        "code": str(given["code"]),
        "container_id": "cntr_here",
        "outputs": [{"type": "logs", "logs": str(record["result"])}],
    }


def message_blocks(toolset: str, record: Record) -> list[dict[str, Any]]:
    """A call and its result as blocks of a message; none for one that has no such form."""
    given = arguments_of(record)
    identity = f"srvtoolu_{uuid.uuid4().hex[:24]}"
    used: dict[str, Any] = {"type": "server_tool_use", "id": identity}
    if toolset == SEARCH and record["name"] == "search_web":
        content: Any = [
            {"type": "web_search_result", "url": one["url"], "title": one["title"],
             "encrypted_content": "", "page_age": None}
            for one in record.get("citations", ())
        ]  # fmt: skip
        if failed(record):
            content = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
        result = {"type": "web_search_tool_result", "tool_use_id": identity, "content": content}
        used |= {"name": "web_search", "input": {"query": str(given.get("query", ""))}}
        return [used, result]
    if toolset == PYTHON and "code" in given:
        said, wrong = str(record["result"]), failed(record)
        outcome = {
            "type": "code_execution_result", "stdout": "" if wrong else said,
            "stderr": said if wrong else "", "return_code": int(wrong), "content": [],
        }  # fmt: skip
        used |= {"name": "code_execution", "input": {"code": str(given["code"])}}
        return [
            used,
            {"type": "code_execution_tool_result", "tool_use_id": identity, "content": outcome},
        ]
    return []


def failed(record: Record) -> bool:
    """Whether a call did not run, or came to an error."""
    return str(record["result"]).startswith(("error: ", "not run: "))


def arguments_of(record: Record) -> dict[str, Any]:
    """A call's arguments; empty where the model wrote none that can be read."""
    try:
        found = json.loads(record["arguments"])
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
