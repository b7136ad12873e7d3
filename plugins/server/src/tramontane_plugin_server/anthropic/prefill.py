"""Prefill: a prompt that ends with the beginning of the answer."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from tramontane_plugin_server.conversation import Message, pieces_of
from tramontane_plugin_server.http.errors import ApiError


def prefilled_prompt(
    render: Callable[..., str], messages: Sequence[Message], **variables: Any
) -> str:
    """The rendered messages, up to the end of the last one's text.

    A random marker after that text finds its end in what the template renders.
    Raises ApiError if the template changes or omits the text.
    """
    last = messages[-1]
    if "tool_calls" in last:
        raise ApiError(
            400, "messages ends with a tool call: its tool_result is missing",
            param="messages",
        )  # fmt: skip
    text = "".join(piece for piece in pieces_of(last) if isinstance(piece, str))
    mark = uuid.uuid4().hex
    marked = [*messages[:-1], {**last, "content": text + mark}]
    written = render(marked, add_generation_prompt=False, **variables)
    before, found, after = written.partition(mark)
    # templates may strip leading white space
    if not found or mark in after or not before.endswith(text.lstrip()):
        raise ApiError(
            400, "this model's chat template cannot begin an answer with the last message's text;"
            " let the last message be the user's", param="messages",
        )  # fmt: skip
    return before
