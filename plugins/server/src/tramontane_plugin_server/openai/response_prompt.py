"""A response's items as the engine's request, truncated at the front if requested."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tramontane_plugin_server.app_state import Serving
from tramontane_plugin_server.conversation import (
    Message,
    Piece,
    call,
    called,
    message_of,
    pieces_of,
    refuse_lost_calls,
)
from tramontane_plugin_server.tool_loop import Prepared, Rounds, prepare

from .response_request import ResponseRequest
from .response_tools import full_name

if TYPE_CHECKING:
    from tramontane.chat.toolbox import Toolbox
    from tramontane.model.loaded_model import LoadedModel
    from tramontane.sampling_params import SamplingParams

Item = dict[str, Any]


def begin_rounds(
    serving: Serving, model: LoadedModel, body: ResponseRequest, items: Sequence[Item]
) -> Rounds:
    """The rounds of a response. items: earlier ones, then the request's.

    Raises ApiError, TemplateError, RequestError.
    """
    instructions, messages = conversation(body.instructions, items)
    refuse_lost_calls(model, messages)
    registered = serving.registered_tools(body.client_tools(), model.processors)
    toolbox, params = body.toolbox(registered.functions), body.sampling()
    prepared = _truncated(serving, model, body, (instructions, messages), toolbox, params)
    return Rounds.of(serving, model, prepared, toolbox, registered, body.request_fields())


def _truncated(
    serving: Serving,
    model: LoadedModel,
    body: ResponseRequest,
    conversation: tuple[list[Message], list[Message]],
    toolbox: Toolbox,
    params: SamplingParams,
) -> Prepared:
    """The most recent turns that fit the context, with truncation; else all turns."""
    instructions, messages = conversation
    fetching = None if serving.fetch is None else serving.fetch.begin()

    def turn(start: int) -> Prepared:
        kept_messages = [*instructions, *messages[start:]]
        return prepare(
            serving, model, kept_messages, params, toolbox, body.variables(),
            body.request_fields(), fetching,
        )  # fmt: skip

    untruncated = turn(0)
    limit = model.engine.context_length
    if body.truncation != "auto" or _size(untruncated) < limit:
        return untruncated
    # with room for the answer, and beginning with what a user says: templates insist on that
    limit -= min(body.max_output_tokens or limit // 4, limit // 2)
    starts = [i for i, message in enumerate(messages) if i and message["role"] == "user"]
    fitting, found = None, len(starts)
    low = 0
    while low < found:
        middle = (low + found) // 2
        tried = turn(starts[middle])
        if _size(tried) < limit:
            fitting, found = tried, middle
        else:
            low = middle + 1
    return untruncated if fitting is None else fitting


def _size(prepared: Prepared) -> int:
    """Tokens of the prompt."""
    return len(prepared.requests[0].prompt)


def conversation(
    instructions: str | None, items: Sequence[Item]
) -> tuple[list[Message], list[Message]]:
    """The system messages at the start, and the messages after them, for the chat template."""
    first = [] if instructions is None else [message_of("system", [instructions])]
    rest: list[Message] = []
    thoughts: list[str] = []
    for item in items:
        match item["type"]:
            case "message":
                message = _message(item)
                if message["role"] == "system" and not rest:
                    before = [text for one in first for text in pieces_of(one)]
                    first = [message_of("system", [*before, *pieces_of(message)])]
                    continue
            case "function_call" | "custom_tool_call":
                message = message_of("assistant", [""])
                name = full_name(item.get("namespace"), item["name"])
                arguments = item.get("arguments")
                if arguments is None:
                    arguments = json.dumps({"input": item["input"]}, ensure_ascii=False)
                one = call(item["call_id"], name, arguments)
                if rest and rest[-1]["role"] == "assistant" and not thoughts:
                    rest[-1].setdefault("tool_calls", []).append(one)
                    continue
                message["tool_calls"] = [one]
            case "function_call_output" | "custom_tool_call_output":
                identity = item["call_id"]
                message = {
                    **_result(item["output"]), "tool_call_id": identity, **called(identity, rest),
                }  # fmt: skip
            case "web_search_call" | "code_interpreter_call":
                continue  # the text has what came of it
            case _:
                parts = item.get("content") or item["summary"]
                thoughts += [part["text"] for part in parts]
                continue
        if thoughts and message["role"] == "assistant":
            message["reasoning_content"] = "\n".join(thoughts)
        thoughts = []
        rest.append(message)
    return first, rest


def _message(item: Item) -> Message:
    role = "system" if item["role"] == "developer" else item["role"]
    return message_of(role, [_piece(part) for part in item["content"]])


def _result(output: str | list[Item]) -> Message:
    if isinstance(output, str):
        return message_of("tool", [output])
    texts = [part["text"] for part in output if part["type"] == "input_text"]
    media = [part for part in output if part["type"] != "input_text"]
    said = ["\n".join(texts)] if texts or not media else []
    return message_of("tool", [*said, *media])


def _piece(part: Item) -> Piece:
    match part["type"]:
        case "input_image" | "input_audio" | "input_file":
            return part
        case "refusal":
            return str(part["refusal"])
    return str(part["text"])
