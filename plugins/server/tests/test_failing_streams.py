"""What fails once a stream has begun is told in it, as each API has it."""

from __future__ import annotations

import json
from typing import Any

from tramontane.engine.request import Token
from tramontane.errors import EngineBusy
from tramontane_plugin_server.anthropic import messages
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.openai.response_request import ResponseRequest
from tramontane_plugin_server.openai.response_state import ResponseState
from tramontane_plugin_server.openai.response_wire import Wire


def parsed(data: bytes) -> list[dict[str, Any]]:
    """Events, whose names are those of their data."""
    found = []
    for text in data.decode().removesuffix("\n\n").split("\n\n"):
        name, body = text.split("\n")
        found.append(json.loads(body.removeprefix("data: ")))
        assert found[-1]["type"] == name.removeprefix("event: ")
    return found


def test_a_message() -> None:
    (event,) = parsed(messages._failed(ApiError(504, "too slow")))
    assert event == {"type": "error", "error": {"type": "timeout_error", "message": "too slow"}}
    (event,) = parsed(messages._failed(EngineBusy("full", 1.0)))
    assert event["error"] == {"type": "rate_limit_error", "message": "full"}
    (event,) = parsed(messages._failed(ZeroDivisionError("secret")))
    assert event["error"]["type"] == "api_error"
    assert "secret" not in event["error"]["message"]


def test_a_response_that_has_begun() -> None:
    making = ResponseState(ResponseRequest(input="x"), "default")  # type: ignore[arg-type]
    wire = Wire(making)
    token = Token("1", 7, "Once")
    changes = making.push(token)
    events = parsed(wire.opening() + wire.changes(changes) + wire.failed(ApiError(504, "too slow")))
    assert [event["sequence_number"] for event in events] == list(range(6))
    assert events[-2]["delta"] == "Once"
    last = events[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert last["response"]["error"] == {"code": "server_error", "message": "too slow"}
    assert last["response"]["output"][0]["content"][0]["text"] == "Once"


def test_a_response_of_which_nothing_was_told_yet() -> None:
    making = ResponseState(ResponseRequest(input="x"), "default")  # type: ignore[arg-type]
    events = parsed(Wire(making).failed(EngineBusy("full", 1.0)))
    kinds = ["response.created", "response.in_progress", "response.failed"]
    assert [event["type"] for event in events] == kinds
    assert events[-1]["response"]["error"]["code"] == "rate_limit_exceeded"
    assert events[-1]["response"]["output"] == []
