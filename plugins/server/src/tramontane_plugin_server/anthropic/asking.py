"""From a request to the engine's, and to what reads its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tramontane.answers import AnswerParser, Dialect

from tramontane_plugin_server.conversation import Message, refuse_lost_calls
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.serving import Serving
from tramontane_plugin_server.turns import prepare

from .message_request import CountRequest
from .prefill import begun
from .prompt import conversation

if TYPE_CHECKING:
    from tramontane.engine.request import Request
    from tramontane.loaded_model import LoadedModel


def ask(serving: Serving, model: LoadedModel, asked: CountRequest) -> tuple[AnswerParser, Request]:
    """Reads, renders and encodes: not for the event loop.

    Raises ApiError, TemplateError, RequestError.
    """
    messages = conversation(asked)
    refuse_lost_calls(model, messages)
    if messages[-1]["role"] == "assistant":
        return Dialect().parser(), _going_on(serving, model, asked, messages)
    turn, (request,) = prepare(
        serving, model, messages, asked.sampling(), asked.toolbox(), asked.variables(),
        asked.place(),
    )  # fmt: skip
    return turn.parser(), request


def _going_on(
    serving: Serving, model: LoadedModel, asked: CountRequest, messages: list[Message]
) -> Request:
    """An answer that begins with the last message: it is text, and so is the rest of it."""
    others = {
        "tools": bool(asked.toolbox().offered),
        "thinking": asked.thinks,
        "a format": asked.form is not None,
    }
    if "tool_calls" not in messages[-1]:  # of that more is wrong, which is said below
        for name, there in others.items():
            if there:
                raise ApiError(
                    400, f"the last message is the assistant's, so it begins the answer: that and"
                    f" {name} exclude each other; let the last message be the user's",
                    param="messages",
                )  # fmt: skip
    text = begun(model.render, messages, **asked.variables())
    prompt = tuple(model.tokenizer.encode(text, add_special=False))
    (request,) = model.requests(prompt, serving.limited(asked.sampling()))
    return replace(request, **asked.place())
