"""What a client is told when its replica is lost in the middle of a stream."""

from __future__ import annotations

import json
import re

from tramontane_plugin_server.http.errors import ApiError, error_body
from tramontane_plugin_server.http.stream import event

NUMBER = re.compile(rb'"sequence_number": ?(\d+)')
LOST = (
    "the replica that wrote this answer was lost before its end; what has come is incomplete: "
    "send the request again"
)


def broken(path: str, last: bytes) -> bytes:
    """The last event of a stream, in the form of its API. last: the event before it."""
    error = ApiError(502, LOST, code="replica_lost")
    if path.startswith("/v1/messages"):
        return event(error_body(error, anthropic=True), "error")
    if path.startswith("/v1/responses"):
        numbers = NUMBER.findall(last)
        after = int(numbers[-1]) + 1 if numbers else 0
        said = {"type": "error", "code": error.code, "message": LOST, "param": None,
                "sequence_number": after}  # fmt: skip
        return event(json.dumps(said), "error")
    return event(error_body(error, anthropic=False))
