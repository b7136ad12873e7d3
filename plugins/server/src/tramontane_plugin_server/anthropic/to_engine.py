"""From a request of the messages API to rounds of the engine's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tramontane_plugin_server.app_state import Serving
from tramontane_plugin_server.conversation import Message, refuse_lost_calls
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.tool_loop import Rounds, prepare

from .context_edits import edit_conversation
from .message_request import CountRequest
from .prefill import prefilled_prompt
from .prompt import conversation

if TYPE_CHECKING:
    from tramontane.engine.request import Request
    from tramontane.media.fetch import Fetching
    from tramontane.model.loaded_model import LoadedModel


@dataclass
class Prompted:
    """The rounds of an answer, and what context management did to its prompt."""

    rounds: Rounds
    applied_edits: list[dict[str, Any]] = field(default_factory=list)
    """Edits of the conversation that changed something."""
    original_tokens: int = 0
    """Tokens of the prompt before the edits."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the next round's prompt."""
        return len(self.rounds.requests[0].prompt)


def prompt(serving: Serving, model: LoadedModel, body: CountRequest) -> Prompted:
    """Edit, render and encode a conversation: not for the event loop.

    Raises ApiError, TemplateError, RequestError.
    """
    fetching = None if serving.fetch is None else serving.fetch.begin()
    if body.context_management is None or not body.context_management.edits:
        found = Prompted(_rounds(serving, model, body, fetching))
        found.original_tokens = found.prompt_tokens
        return found

    def count(messages: Sequence[Any]) -> int:
        changed = body.model_copy(update={"messages": list(messages)})
        return Prompted(_rounds(serving, model, changed, fetching)).prompt_tokens

    result = edit_conversation(body.messages, body.context_management.edits, count)
    body = body.model_copy(update={"messages": result.messages})
    rounds = _rounds(serving, model, body, fetching)
    return Prompted(rounds, result.applied, result.original)


def _rounds(
    serving: Serving, model: LoadedModel, body: CountRequest, fetching: Fetching | None
) -> Rounds:
    messages = conversation(body)
    refuse_lost_calls(model, messages)
    if messages[-1]["role"] == "assistant":
        return Rounds(serving, model, [_prefilled(serving, model, body, messages)])
    registered = serving.registered_tools(body.client_tools(), model.processors)
    toolbox, request_fields, variables = (
        body.toolbox(registered.functions),
        body.request_fields(),
        body.variables(),
    )
    prepared = prepare(
        serving, model, messages, body.sampling(), toolbox, variables, request_fields, fetching
    )
    return Rounds.of(serving, model, prepared, toolbox, registered, request_fields)


def _prefilled(
    serving: Serving, model: LoadedModel, body: CountRequest, messages: list[Message]
) -> Request:
    """The request for an answer that begins with the last message; all of it is text."""
    others = {
        "tools": bool(body.toolbox().offered),
        "thinking": body.thinking_requested,
        "a format": body.answer_format is not None,
    }
    if "tool_calls" not in messages[-1]:  # prefilled_prompt has a more precise error for that
        for name, there in others.items():
            if there:
                raise ApiError(
                    400, f"the last message is the assistant's, so it begins the answer: that and"
                    f" {name} exclude each other; let the last message be the user's",
                    param="messages",
                )  # fmt: skip
    text = prefilled_prompt(model.render, messages, **body.variables())
    tokens = tuple(model.tokenizer.encode_chat(text))
    (request,) = model.requests(tokens, serving.limited(body.sampling()), continues=True)
    return replace(request, **body.request_fields())
