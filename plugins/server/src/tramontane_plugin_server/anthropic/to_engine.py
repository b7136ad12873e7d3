"""From a request to the engine's, and to what reads its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tramontane.answers import AnswerParser, Dialect

from tramontane_plugin_server.app_state import Serving
from tramontane_plugin_server.conversation import Message, refuse_lost_calls
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.tool_loop import Talk, in_rounds, prepare

from .context_edits import edited
from .message_request import CountRequest
from .prefill import begun
from .prompt import conversation

if TYPE_CHECKING:
    from tramontane.engine.request import Request, RequestResult
    from tramontane.model.loaded_model import LoadedModel


@dataclass
class Going:
    """What is asked of the engine next, and what reads the answer. ours: tools that run here."""

    parser: AnswerParser
    request: Request
    ours: frozenset[str] = frozenset()
    ran: list[dict[str, str]] = field(default_factory=list)
    applied: list[dict[str, Any]] = field(default_factory=list)
    """Edits of the conversation that changed something."""
    original: int = 0
    """Tokens of the prompt before them."""
    _talk: Talk | None = None

    async def goes_on(self, result: RequestResult) -> bool:
        """Run the calls of an answer, if all are of our tools; whether there is another round."""
        if self._talk is None or not await self._talk.goes_on([result]):
            return False
        self.parser, (self.request,) = self._talk.turn.parser(), self._talk.requests
        return True


def ask(serving: Serving, model: LoadedModel, asked: CountRequest) -> Going:
    """Reads, renders and encodes: not for the event loop.

    Raises ApiError, TemplateError, RequestError.
    """
    if asked.context_management is None or not asked.context_management.edits:
        going = _ask(serving, model, asked)
        going.original = len(going.request.prompt)
        return going

    def count(messages: Sequence[Any]) -> int:
        changed = asked.model_copy(update={"messages": list(messages)})
        return len(_ask(serving, model, changed).request.prompt)

    found = edited(asked.messages, asked.context_management.edits, count)
    going = _ask(serving, model, asked.model_copy(update={"messages": found.messages}))
    going.applied, going.original = found.applied, found.original
    return going


def _ask(serving: Serving, model: LoadedModel, asked: CountRequest) -> Going:
    messages = conversation(asked)
    refuse_lost_calls(model, messages)
    if messages[-1]["role"] == "assistant":
        return Going(Dialect().parser(), _going_on(serving, model, asked, messages))
    ours = serving.own_tools(asked.theirs())
    toolbox, place = asked.toolbox(ours), asked.place()
    begun = prepare(serving, model, messages, asked.sampling(), toolbox, asked.variables(), place)
    talk = in_rounds(serving, begun, toolbox, ours, place)
    return Going(talk.turn.parser(), talk.requests[0], talk.ours, talk.ran, _talk=talk)


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
    prompt = tuple(model.tokenizer.encode_chat(text))
    (request,) = model.requests(prompt, serving.limited(asked.sampling()), continues=True)
    return replace(request, **asked.place())
