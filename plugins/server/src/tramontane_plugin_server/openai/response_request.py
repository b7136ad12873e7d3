"""The body of POST /v1/responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator
from tramontane.chat.thinking import thinking_variables
from tramontane.chat.toolbox import Function, Toolbox
from tramontane.grammar import Grammar
from tramontane.sampling_params import SamplingParams
from tramontane.tools import Tool

from .fields import NO_EFFECT, STREAM_OPTIONS, RequestBody, Sampling, Stop, Verbosity, refuse
from .response_items import Input
from .response_tools import (
    AllowedTools,
    AnyTool,
    FlatTool,
    Format,
    NamedTool,
    Namespace,
    ToolChoice,
)
from .tool_fields import (
    MAX_TOOLS,
    FlatSchemaFormat,
    ObjectFormat,
    TextFormat,
    grammar_of,
    merge_tools,
    toolbox_of,
)

LOGPROBS = "message.output_text.logprobs"


class Text(RequestBody):
    """How the answer is written."""

    format: Format | None = None
    verbosity: Verbosity | None = Field(None, description="passed to the chat template")


class Reasoning(RequestBody):
    """How long the model reasons."""

    refused: ClassVar[Mapping[str, str]] = {
        "context": "the chat template decides where reasoning of earlier turns goes",
        "generate_summary": "this server does not summarise reasoning",
        "mode": "this server has one mode",
        "summary": "this server does not summarise reasoning",
    }
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {
        "context": ("auto",), "generate_summary": ("auto",), "mode": ("standard",),
        "summary": ("auto", "none"),
    }  # fmt: skip
    effort: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="passed to the chat template; `off` and `none` turn thinking off"
    )


class CacheOptions(RequestBody):
    """Options of the prompt cache; every prompt is cached while there is space."""

    refused: ClassVar[Mapping[str, str]] = {
        "comparison_response_id": "cache diagnostics are not available; usage has the number of"
        " cached tokens",
        "prewarm": "a prompt is processed when it is answered",
    }
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {"prewarm": (False,)}

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m", "12h"] | None = None


class StreamOptions(RequestBody):
    include_obfuscation: bool | None = Field(None, description=NO_EFFECT)


class ResponseRequest(Sampling):
    """A conversation, or its next turn, to answer."""

    model_config = ConfigDict(json_schema_extra={"allOf": [STREAM_OPTIONS]})
    refused: ClassVar[Mapping[str, str]] = {
        "access_programs": "this server has none",
        "context_management": "conversations are not compacted; use truncation=auto",
        "conversation": "conversations are stored as responses; use previous_response_id",
        "image": "images are parts of messages, of type input_image",
        "max_tool_calls": "it limits calls of built-in tools, which this server does not have",
        "moderation": "this server has no moderation",
        "prompt": "this server does not store prompts; send the text",
    }

    input: Input = Field(
        max_length=10_000, description="a list of messages, or a string: the message of a user"
    )
    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )
    instructions: str | None = Field(None, description="the system prompt, for this answer only")
    previous_response_id: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="the id of a stored response to continue",
    )
    store: bool | None = Field(
        None, description="store the response; the oldest ones are dropped; default: true"
    )
    background: bool | None = Field(
        None, description="return at once, and generate the answer in the background"
    )
    stream: bool | None = Field(
        None, description="send the answer as server-sent events while it is generated"
    )
    stream_options: StreamOptions | None = Field(None, description=NO_EFFECT)
    max_output_tokens: int | None = Field(
        None, ge=1, description="maximum number of tokens in the answer"
    )
    stop: Stop | None = Field(
        None, description="strings that end the answer and are not part of it"
    )
    top_logprobs: int | None = Field(
        None, ge=0, le=20, description="number of most likely tokens to return at each position"
    )
    include: (
        list[
            Literal[
                "code_interpreter_call.outputs",
                "computer_call_output.output.image_url",
                "file_search_call.results",
                "message.input_image.image_url",
                "message.output_text.logprobs",
                "reasoning.encrypted_content",
                "web_search_call.action.sources",
                "web_search_call.results",
            ]
        ]
        | None
    ) = Field(None, description="of the possible values only log-probabilities have an effect")
    text: Text | None = Field(
        None,
        description="format: enforced; verbosity: passed to the chat template",
    )
    tools: list[AnyTool] | None = Field(
        None,
        max_length=MAX_TOOLS,
        description="functions and namespaces of functions; without `strict` a schema is enforced "
        "as far as possible",
    )
    tool_choice: ToolChoice | None = Field(None, description="default: auto if there are tools")
    parallel_tool_calls: bool | None = Field(
        None, description="several calls in one answer; default: true"
    )
    reasoning: Reasoning | None = Field(
        None, description="effort: passed to the chat template; reasoning is never summarised"
    )
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description="auto: drop the oldest turns of a conversation that exceeds the context"
    )
    metadata: (
        Annotated[
            dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
            Field(max_length=16),
        ]
        | None
    ) = Field(None, description="stored with the response")
    client_metadata: dict[str, Any] | None = Field(None, description=NO_EFFECT)
    prompt_cache_key: str | None = Field(None, max_length=512, description=NO_EFFECT)
    prompt_cache_options: CacheOptions | None = Field(None, description=NO_EFFECT)
    prompt_cache_retention: Literal["in_memory", "24h"] | None = Field(None, description=NO_EFFECT)
    safety_identifier: str | None = Field(None, max_length=512, description=NO_EFFECT)
    service_tier: str | None = Field(None, max_length=64, description=NO_EFFECT)
    user: str | None = Field(None, max_length=512, description=NO_EFFECT)

    @model_validator(mode="after")
    def _fit(self) -> ResponseRequest:
        if self.stream_options is not None and not self.stream:
            refuse("stream_options", "stream_options requires stream=true")
        if self.background and self.store is False:
            refuse(
                "background",
                "background requires store: the response could not be retrieved without it",
            )
        if self.grammar is not None and self._form_grammar is not None:
            refuse("grammar", "text.format and grammar cannot be combined; give one")
        if len(self.client_tools()) > MAX_TOOLS:
            refuse("tools", f"there are more than {MAX_TOOLS} functions in total")
        return self

    @property
    def stored(self) -> bool:
        return self.store is not False

    @property
    def logprobs(self) -> bool:
        """Whether log-probabilities were requested."""
        return bool(self.top_logprobs) or LOGPROBS in (self.include or ())

    @property
    def answer_format(self) -> TextFormat | ObjectFormat | FlatSchemaFormat | None:
        """The format of the answer, None for free text."""
        return None if self.text is None else self.text.format

    @property
    def _form_grammar(self) -> Grammar | None:
        return grammar_of(self.answer_format)

    def variables(self) -> dict[str, Any]:
        """Further variables of the chat template."""
        found = thinking_variables(None if self.reasoning is None else self.reasoning.effort)
        if self.text is not None and self.text.verbosity is not None:
            found["verbosity"] = self.text.verbosity
        return found

    def client_tools(self) -> list[Tool]:
        """The tools of the request."""
        found: list[Tool] = []
        for tool in self.tools or ():
            if isinstance(tool, FlatTool):
                found.append(tool.tool())
            elif isinstance(tool, Namespace):
                found += [one for _, one in tool.functions()]
        return found

    def namespaces(self) -> dict[str, tuple[str, str]]:
        """Of functions that are in one: what the model calls them, to namespace and name."""
        spaces = [tool for tool in self.tools or () if isinstance(tool, Namespace)]
        return {
            tool.name: (space.name, sent.name)
            for space in spaces
            for sent, tool in space.functions()
        }

    def toolbox(self, registered: Sequence[Function] = ()) -> Toolbox:
        """The tools that may be called. registered: tools of the server. Raises RequestError."""
        choice: str | NamedTool | AllowedTools = self.tool_choice or "auto"
        allowed: list[str] | None = None
        if isinstance(choice, NamedTool):
            choice = choice.name
        elif isinstance(choice, AllowedTools):
            allowed = [tool.name for tool in choice.tools]
            choice = choice.mode
        parallel = self.parallel_tool_calls is not False
        return toolbox_of(merge_tools(self.client_tools(), registered), choice, parallel, allowed)

    def sampling(self) -> SamplingParams:
        """The sampling parameters. Raises RequestError."""
        return self.params(
            max_tokens=self.max_output_tokens,
            stop=self.stop,
            logprobs=self.logprobs or None,
            top_logprobs=self.top_logprobs or None,
            grammar=self.grammar or self._form_grammar,
        )
