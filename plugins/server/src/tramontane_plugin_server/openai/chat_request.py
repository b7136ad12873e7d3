"""The body of POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from tramontane.chat.thinking import thinking_variables
from tramontane.chat.toolbox import Function, Toolbox
from tramontane.sampling_params import SamplingParams
from tramontane.tools import Tool

from .fields import (
    NO_EFFECT,
    STREAM_OPTIONS,
    RequestBody,
    Sampling,
    Stop,
    Verbosity,
    not_both,
    refuse,
)
from .tool_fields import (
    MAX_TOOLS,
    AllowedTools,
    AnyTool,
    NamedTool,
    ResponseFormat,
    ToolChoice,
    grammar_of,
    merge_tools,
    toolbox_of,
    tools_of,
)


class Part(BaseModel):
    """A part of a message's content: `text`; for models that take media, `image_url`,
    `input_audio`, `video_url`, or a `file` of such a type, with a data: URL in base64 or an
    address, where it is fetched."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: str = Field(max_length=64)
    text: str | None = None


class Message(BaseModel):
    """One message. More fields are passed to the chat template."""

    model_config = ConfigDict(extra="allow", strict=True)
    role: str = Field(min_length=1, max_length=64)
    content: str | list[Part] | None = None


def as_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages for the chat template; the role developer becomes system."""
    found = [message.model_dump(exclude_unset=True) for message in messages]
    for message in found:
        if message["role"] == "developer":
            message["role"] = "system"
    return found


class StreamOptions(RequestBody):
    """Options of a stream."""

    include_usage: bool = False
    include_obfuscation: bool | None = Field(None, description=NO_EFFECT)


class ChatRequest(Sampling):
    """A conversation to answer."""

    model_config = ConfigDict(json_schema_extra={"allOf": [
        not_both("max_tokens", "max_completion_tokens"),
        STREAM_OPTIONS,
        {"anyOf": [{"properties": {"top_logprobs": {"enum": [None, 0]}}},
                   {"properties": {"logprobs": {"const": True}}, "required": ["logprobs"]}]},
    ]})  # fmt: skip

    refused: ClassVar[Mapping[str, str]] = {
        "audio": "this server generates only text",
        "function_call": "deprecated by OpenAI; use tool_choice",
        "functions": "deprecated by OpenAI; use tools",
        "moderation": "this server has no moderation",
        "prediction": "this server has no speculative decoding",
        "store": "only /v1/responses stores answers",
    }

    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {"store": (False,)}

    messages: (
        Annotated[list[Message], Field(min_length=1)] | Annotated[str, Field(min_length=1)]
    ) = Field(description="a list of messages, or a string: the message of a user")
    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )
    max_tokens: int | None = Field(None, ge=1, description="older name of max_completion_tokens")
    max_completion_tokens: int | None = Field(
        None,
        ge=1,
        description="maximum number of tokens in the answer; absent: what the context allows",
    )
    n: int | None = Field(
        None,
        ge=1,
        le=128,
        description="number of answers, which share the prompt's cache; the server limits it",
    )
    stop: Stop | None = Field(
        None, description="strings that end the answer and are not part of it"
    )
    logprobs: bool | None = Field(None, description="return the log-probability of each token")
    top_logprobs: int | None = Field(
        None, ge=0, le=20, description="number of most likely tokens to return at each position"
    )
    stream: bool | None = Field(
        None, description="send the answer as server-sent events while it is generated"
    )
    stream_options: StreamOptions | None = Field(
        None, description="`include_usage`: token counts in the last event"
    )
    modalities: list[Literal["text"]] | None = Field(None, description="only `text`")
    tools: list[AnyTool] | None = Field(
        None, max_length=MAX_TOOLS, description="functions that the model may call"
    )
    tool_choice: ToolChoice | None = Field(None, description="default: auto if there are tools")
    parallel_tool_calls: bool | None = Field(
        None, description="several calls in one answer; default: true"
    )
    response_format: ResponseFormat | None = Field(
        None, description="json_schema is enforced, with or without strict"
    )
    reasoning_effort: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="passed to the chat template; `off` and `none` turn thinking off"
    )
    verbosity: Verbosity | None = Field(None, description="passed to the chat template")
    enable_thinking: bool | None = Field(None, description="passed to the chat template")
    chat_template_kwargs: dict[str, Any] | None = Field(
        None, description="variables of the chat template"
    )
    add_generation_prompt: bool | None = Field(
        None, description="start a new answer; default: true"
    )
    web_search_options: dict[str, Any] | None = Field(
        None, description="requires the toolset `search`; otherwise without effect"
    )
    session_id: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="a conversation whose tools keep their state, such as files; of this key",
    )
    tool_approvals: bool | None = Field(
        None, description="with `stream`: the client answers for calls that need approval"
    )
    metadata: dict[str, str] | None = Field(None, description=NO_EFFECT)
    prompt_cache_key: str | None = Field(None, description=NO_EFFECT)
    prompt_cache_retention: str | None = Field(None, description=NO_EFFECT)
    prompt_cache_options: dict[str, Any] | None = Field(None, description=NO_EFFECT)
    safety_identifier: str | None = Field(None, description=NO_EFFECT)
    service_tier: str | None = Field(None, description=NO_EFFECT)
    user: str | None = Field(None, description=NO_EFFECT)

    @model_validator(mode="after")
    def _fit(self) -> ChatRequest:
        if self.stream_options is not None and not self.stream:
            refuse("stream_options", "stream_options requires stream=true")
        if None not in (self.max_tokens, self.max_completion_tokens):
            refuse(
                "max_tokens",
                "max_tokens and max_completion_tokens mean the same; give only the latter",
            )
        if self.grammar is not None and grammar_of(self.response_format) is not None:
            refuse("grammar", "response_format and grammar cannot be combined; give one")
        if self.top_logprobs and not self.logprobs:
            refuse("top_logprobs", "top_logprobs requires logprobs=true")
        return self

    def conversation(self) -> list[dict[str, Any]]:
        """Messages for the chat template."""
        if isinstance(self.messages, str):
            return [{"role": "user", "content": self.messages}]
        return as_messages(self.messages)

    def variables(self) -> dict[str, Any]:
        """Further variables of the chat template."""
        found = dict(self.chat_template_kwargs or {})
        thinking = self.enable_thinking
        if thinking is None:
            thinking = found.get("enable_thinking")
        found |= thinking_variables(self.reasoning_effort, thinking)
        if self.verbosity is not None:
            found["verbosity"] = self.verbosity
        if self.add_generation_prompt is not None:
            found["add_generation_prompt"] = self.add_generation_prompt
        for name in ("messages", "tools"):
            if name in found:
                raise ValueError(f"chat_template_kwargs cannot set {name}")
        return found

    def client_tools(self) -> list[Tool]:
        """The tools of the request."""
        return tools_of(self.tools)

    def toolbox(self, registered: Sequence[Function] = ()) -> Toolbox:
        """The tools that may be called. registered: tools of the server. Raises RequestError."""
        choice: str | NamedTool | AllowedTools = self.tool_choice or "auto"
        allowed: list[str] | None = None
        if isinstance(choice, NamedTool):
            choice = choice.function.name
        elif isinstance(choice, AllowedTools):
            allowed = [tool.function.name for tool in choice.allowed_tools.tools]
            choice = choice.allowed_tools.mode
        parallel = self.parallel_tool_calls is not False
        return toolbox_of(merge_tools(self.client_tools(), registered), choice, parallel, allowed)

    def sampling(self) -> SamplingParams:
        """The sampling parameters. Raises RequestError."""
        return self.params(
            max_tokens=self.max_completion_tokens or self.max_tokens,
            n=self.n,
            stop=self.stop,
            logprobs=self.logprobs,
            top_logprobs=self.top_logprobs,
            grammar=self.grammar or grammar_of(self.response_format),
        )
