"""A prompt that ends within the answer, whose beginning the request gives."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from tramontane_plugin_server.conversation import Message, texts_of
from tramontane_plugin_server.http.errors import ApiError


def begun(render: Callable[..., str], messages: Sequence[Message], **variables: Any) -> str:
    """Messages as the template writes them, up to the end of the last one's text.

    A mark after that text shows where it ends, whatever the template puts around it.
    Raises ApiError where the template changes the text, or leaves it out.
    """
    last = messages[-1]
    if "tool_calls" in last:
        raise ApiError(
            400, "messages ends with a tool call: its tool_result is missing",
            param="messages",
        )  # fmt: skip
    text = "".join(texts_of(last))
    mark = uuid.uuid4().hex
    marked = [*messages[:-1], {**last, "content": text + mark}]
    written = render(marked, add_generation_prompt=False, **variables)
    before, found, after = written.partition(mark)
    # blanks in front are no part of what is continued, and templates may take them off
    if not found or mark in after or not before.endswith(text.lstrip()):
        raise ApiError(
            400, "this model's chat template cannot begin an answer with the last message's text;"
            " let the last message be the user's", param="messages",
        )  # fmt: skip
    return before
