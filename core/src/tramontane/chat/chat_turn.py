"""One chat turn: the requests to the engine, their answers, and the rounds of tool calls."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tramontane.answers import AnswerParser
from tramontane.engine.request import Request, RequestResult
from tramontane.errors import RequestError
from tramontane.grammar import Grammar
from tramontane.results import Completion, best
from tramontane.sampling_params import SamplingParams
from tramontane.tools import ToolResult

from .media_parts import places, put_media, take_media
from .messages import checked
from .toolbox import Outcome, Toolbox

if TYPE_CHECKING:
    from tramontane.media.fetch import Fetching
    from tramontane.model.loaded_model import LoadedModel


FORMS = ("json_object", "json_schema")
"""Grammars that constrain only the answer: tool calls and reasoning are allowed in addition."""


SHOWN = "These are the images that the tools made."


class Turn:
    """Converts messages to requests and results to a `Completion`, in rounds while the model calls
    tools.

    Raises TemplateError, RequestError for invalid requests.
    """

    def __init__(
        self,
        inner: LoadedModel,
        messages: Sequence[Mapping[str, Any]],
        params: SamplingParams | None,
        toolbox: Toolbox,
        *,
        schema: Any = None,
        variables: Mapping[str, Any],
        local_files: bool = True,
        fetching: Fetching | None = None,
    ) -> None:
        """local_files: whether messages may name media by their paths. fetching: media of the web,
        instead of as the model's own options say."""
        self._inner, self._toolbox, self._schema = inner, toolbox, schema
        options = inner.media_options
        if fetching is None and options.fetch is not None:
            fetching = options.fetch.begin()
        without, attached = take_media(
            messages, local=local_files, kinds=inner.processors,
            most_images=options.max_num_images, fetching=fetching,
        )  # fmt: skip
        self.messages = checked(without)
        self._attached, self._items = attached, inner.media_items(attached)
        self._given = len(self.messages)
        self._params = params or SamplingParams()
        self._variables = dict(variables)
        self._prompt = ""
        self._tools = toolbox.offered
        if self._tools:
            self._variables["tools"] = [as_spec(tool) for tool in self._tools]

    def requests(self) -> list[Request]:
        """One request for each of the `n` answers."""
        self._prompt = self._inner.render(self.messages, **self._variables)
        if self._tools and self._ignores_tools():
            raise RequestError("the model's chat template has no place for tools")
        # the oldest messages may have been left out
        kept = self._items[len(self._items) - places(self.messages) :]
        prompt, media = self._inner.encode_rendered(self._prompt, kept)
        changed: dict[str, Any] = {}
        if self._tools or self._marks_are_special():
            changed["skip_special_tokens"] = False  # the parser needs the marks among them
        if (grammar := self._grammar()) is not None:
            changed["grammar"] = grammar
        params = self._params.model_copy(update=changed) if changed else self._params
        return self._inner.requests(prompt, params, media=media)

    def whole_messages(self) -> list[dict[str, Any]]:
        """The messages with their media, as they were given."""
        return put_media(self.messages, self._attached)

    def parser(self) -> AnswerParser:
        """A parser for one answer to the last requests."""
        several = self._toolbox.parallel
        return self._inner.dialect.parser(self._tools, self._prompt, several=several)

    def completed(self, results: Sequence[RequestResult]) -> Completion:
        """Parse the results of the last requests."""
        results = best(results, self._params.n)
        answers = tuple(self.parser().whole(result.text) for result in results)
        return Completion(
            tuple(results), self._schema, answers, tuple(self.messages[self._given :])
        )

    def calls(self, completion: Completion) -> bool:
        """Whether the answer's calls are to be run, with another round afterwards."""
        if len(completion.choices) > 1:
            return False
        return self._toolbox.runs(completion.tool_calls)

    def add(self, completion: Completion, results: Sequence[Outcome]) -> None:
        """Append the answer and the results of its calls to the messages. Images are in a message
        of the user's behind them, as few templates have a place for any in results."""
        answer = completion.answers[0]
        calls = [(call, call.id or secrets.token_hex(5)[:9]) for call in answer.calls]
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.content,
            "tool_calls": [
                {
                    "id": id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call, id in calls
            ],
        }
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        self.messages.append(message)
        for (call, id), result in zip(calls, results, strict=True):
            text = result.text if isinstance(result, ToolResult) else result
            self.messages.append(
                {"role": "tool", "tool_call_id": id, "name": call.name, "content": text}
            )
        self._show(
            [image for one in results if isinstance(one, ToolResult) for image in one.images]
        )
        if self._toolbox.required:  # only once: the next round may answer with the result
            self._toolbox.choice = "auto"

    def _show(self, images: Sequence[bytes]) -> None:
        """Append what tools drew, for models that see."""
        limit = self._inner.media_options.max_num_images
        room = limit - sum(item.kind == "image" for item in self._attached)
        if "image" not in self._inner.processors or not images or room <= 0:
            return
        parts: list[Any] = [{"type": "image", "image": _data_url(image)} for image in images[:room]]
        told = {"role": "user", "content": [*parts, {"type": "text", "text": SHOWN}]}
        without, attached = take_media([told], kinds=self._inner.processors)
        try:
            items = self._inner.media_items(attached)
        except RequestError as error:  # no reason to lose the answer
            self.messages += checked([{"role": "user", "content": f"{SHOWN} {error}"}])
            return
        self.messages += checked(without)
        self._attached, self._items = [*self._attached, *attached], [*self._items, *items]

    def _marks_are_special(self) -> bool:
        reasoner = self._inner.dialect.reasoner
        return reasoner is not None and any(
            self._inner.special_token(mark) is not None
            for mark in (reasoner.opening, reasoner.closing)
        )

    def _grammar(self) -> Grammar | None:
        constraint, dialect = self._params.grammar, self._inner.dialect
        box, form = self._toolbox, None
        if constraint is not None and constraint.type in FORMS and not constraint.after:
            form = constraint
        tools = box.allowed if self._tools else []
        if constraint is not None and form is None:  # the grammar constrains the complete text
            tools = [replace(tool, bound=False) for tool in tools]
        calls_grammar = dialect.grammar(
            tools,
            required=bool(self._tools) and box.required,
            several=box.parallel,
            special=self._inner.special_token,
            prompt=self._prompt,
            thinks=self._thinks(),
            form=form,
        )
        if form is not None or constraint is None:
            return calls_grammar
        if calls_grammar is not None:
            raise RequestError(
                f"a {constraint.type} grammar and tool calls that are made sure exclude each "
                "other; keep one"
            )
        reasoner = dialect.reasoner
        if reasoner is None or constraint.after:
            return constraint
        opened = self._prompt.rstrip().endswith(reasoner.opening)
        return constraint.model_copy(update={"after": reasoner.closing}) if opened else constraint

    def _thinks(self) -> bool:
        off = self._variables.get("enable_thinking") is False
        return not off and self._inner.begins_reasoning

    def _ignores_tools(self) -> bool:
        without = {name: value for name, value in self._variables.items() if name != "tools"}
        return self._inner.render(self.messages, **without) == self._prompt


def _data_url(image: bytes) -> str:
    return f"data:;base64,{base64.b64encode(image).decode()}"


def as_spec(tool: Any) -> dict[str, Any]:
    """A tool in the format that chat templates expect."""
    about = {"name": tool.name, "description": tool.description}
    parameters = dict(tool.parameters) or {"type": "object", "properties": {}}
    return {"type": "function", "function": {**about, "parameters": json_copy(parameters)}}


def json_copy(value: Any) -> Any:
    """A deep copy of JSON data."""
    return json.loads(json.dumps(value))
