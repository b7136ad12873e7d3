"""From a request to the engine's, and to what reads its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tramontane_plugin_server.app_state import Serving
from tramontane_plugin_server.conversation import Message, refuse_lost_calls
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.tool_loop import Rounds, prepare

from .context_edits import edited
from .message_request import CountRequest
from .prefill import begun
from .prompt import conversation

if TYPE_CHECKING:
    from tramontane.engine.request import Request
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


def prompt(serving: Serving, model: LoadedModel, asked: CountRequest) -> Prompted:
    """Edit, render and encode a conversation: not for the event loop.

    Raises ApiError, TemplateError, RequestError.
    """
    if asked.context_management is None or not asked.context_management.edits:
        found = Prompted(_rounds(serving, model, asked))
        found.original_tokens = found.prompt_tokens
        return found

    def count(messages: Sequence[Any]) -> int:
        changed = asked.model_copy(update={"messages": list(messages)})
        return Prompted(_rounds(serving, model, changed)).prompt_tokens

    result = edited(asked.messages, asked.context_management.edits, count)
    rounds = _rounds(serving, model, asked.model_copy(update={"messages": result.messages}))
    return Prompted(rounds, result.applied, result.original)


def _rounds(serving: Serving, model: LoadedModel, asked: CountRequest) -> Rounds:
    messages = conversation(asked)
    refuse_lost_calls(model, messages)
    if messages[-1]["role"] == "assistant":
        return Rounds(serving, model, [_prefilled(serving, model, asked, messages)])
    registered = serving.own_tools(asked.theirs())
    toolbox, place, variables = asked.toolbox(registered), asked.place(), asked.variables()
    prepared = prepare(serving, model, messages, asked.sampling(), toolbox, variables, place)
    return Rounds.of(serving, model, prepared, toolbox, registered, place)


def _prefilled(
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
    tokens = tuple(model.tokenizer.encode_chat(text))
    (request,) = model.requests(tokens, serving.limited(asked.sampling()), continues=True)
    return replace(request, **asked.place())
