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

from .fields import NO_EFFECT, STREAM_OPTIONS, Asked, Sampling, Stop, Verbosity, refuse
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
    MOST_TOOLS,
    FlatSchemaFormat,
    ObjectFormat,
    TextFormat,
    grammar_of,
    together,
    toolbox_of,
)

LOGPROBS = "message.output_text.logprobs"


class Text(Asked):
    """How the answer is written."""

    format: Format | None = None
    verbosity: Verbosity | None = Field(None, description="passed to the chat template")


class Reasoning(Asked):
    """How much the model thinks first."""

    refused: ClassVar[Mapping[str, str]] = {
        "context": "reasoning of earlier turns goes where the chat template puts it",
        "generate_summary": "reasoning is not summarised here",
        "mode": "there is one mode here",
        "summary": "reasoning is not summarised here",
    }
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {
        "context": ("auto",), "generate_summary": ("auto",), "mode": ("standard",),
        "summary": ("auto", "none"),
    }  # fmt: skip
    effort: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="passed to the chat template; off and none turn thinking off"
    )


class CacheOptions(Asked):
    """Prompts are kept while there is room."""

    refused: ClassVar[Mapping[str, str]] = {
        "comparison_response_id": "it is not told why a prompt was not cached; usage says how much"
        " was",
        "prewarm": "a prompt is computed when it is answered",
    }
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {"prewarm": (False,)}

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m", "12h"] | None = None


class StreamOptions(Asked):
    include_obfuscation: bool | None = Field(None, description=NO_EFFECT)


class ResponseRequest(Sampling):
    """A conversation, or its next turn, to answer."""

    model_config = ConfigDict(json_schema_extra={"allOf": [STREAM_OPTIONS]})
    refused: ClassVar[Mapping[str, str]] = {
        "access_programs": "there are none here",
        "context_management": "conversations are not compacted here; truncation drops their start",
        "conversation": "conversations are kept as responses; use previous_response_id",
        "image": "this server takes text",
        "max_tool_calls": "it counts calls of built-in tools, and there are none here",
        "moderation": "there is no moderation here",
        "prompt": "prompts are not kept here; send the text",
    }

    input: Input = Field(max_length=10_000, description="or one user's text")
    model: str | None = Field(None, max_length=512, description="none, or default: the first")
    instructions: str | None = Field(None, description="for this answer only")
    previous_response_id: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="a stored response that this one goes on from",
    )
    store: bool | None = Field(None, description="keep it for later, among the last; default true")
    background: bool | None = Field(None, description="answer whether or not anybody waits")
    stream: bool | None = Field(None, description="the answer in pieces, as they are made")
    stream_options: StreamOptions | None = Field(None, description=NO_EFFECT)
    max_output_tokens: int | None = Field(None, ge=1, description="tokens of the answer, at most")
    stop: Stop | None = Field(None, description="texts that end the answer, as in chat")
    top_logprobs: int | None = Field(
        None, ge=0, le=20, description="likeliest tokens to name at each place"
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
    ) = Field(None, description="of these only log-probabilities occur here")
    text: Text | None = Field(
        None,
        description="format, kept to with or without strict; verbosity, for the chat template",
    )
    tools: list[AnyTool] | None = Field(
        None,
        max_length=MOST_TOOLS,
        description="functions, and namespaces of them; without strict: as far as the schema can "
        "be enforced",
    )
    tool_choice: ToolChoice | None = Field(None, description="default auto where there are tools")
    parallel_tool_calls: bool | None = Field(None, description="several at once; default true")
    reasoning: Reasoning | None = Field(
        None, description="effort, passed to the chat template; reasoning is not summarised here"
    )
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description="auto: drop the oldest turns of what is longer than the context"
    )
    metadata: (
        Annotated[
            dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
            Field(max_length=16),
        ]
        | None
    ) = Field(None, description="kept with the response")
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
            refuse("stream_options", "stream_options is for stream=true")
        if self.background and self.store is False:
            refuse("background", "background needs store: else nobody could ask for the response")
        if self.grammar is not None and self._form_grammar is not None:
            refuse("grammar", "text.format and grammar exclude each other; keep one")
        if len(self.theirs()) > MOST_TOOLS:
            refuse("tools", f"there are more than {MOST_TOOLS} functions in all")
        return self

    @property
    def stored(self) -> bool:
        return self.store is not False

    @property
    def logprobs(self) -> bool:
        """Whether log-probabilities are wanted."""
        return bool(self.top_logprobs) or LOGPROBS in (self.include or ())

    @property
    def form(self) -> TextFormat | ObjectFormat | FlatSchemaFormat | None:
        """What the answer must look like."""
        return None if self.text is None else self.text.format

    @property
    def _form_grammar(self) -> Grammar | None:
        return grammar_of(self.form)

    def variables(self) -> dict[str, Any]:
        """What else the chat template is told."""
        found = thinking_variables(None if self.reasoning is None else self.reasoning.effort)
        if self.text is not None and self.text.verbosity is not None:
            found["verbosity"] = self.text.verbosity
        return found

    def theirs(self) -> list[Tool]:
        """The request's own tools."""
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

    def toolbox(self, ours: Sequence[Function] = ()) -> Toolbox:
        """The tools that may be called. ours: the server's own. Raises RequestError."""
        choice: str | NamedTool | AllowedTools = self.tool_choice or "auto"
        allowed: list[str] | None = None
        if isinstance(choice, NamedTool):
            choice = choice.name
        elif isinstance(choice, AllowedTools):
            allowed = [tool.name for tool in choice.tools]
            choice = choice.mode
        parallel = self.parallel_tool_calls is not False
        return toolbox_of(together(self.theirs(), ours), choice, parallel, allowed)

    def sampling(self) -> SamplingParams:
        """How to generate. Raises RequestError."""
        return self.params(
            max_tokens=self.max_output_tokens,
            stop=self.stop,
            logprobs=self.logprobs or None,
            top_logprobs=self.top_logprobs or None,
            grammar=self.grammar or self._form_grammar,
        )
