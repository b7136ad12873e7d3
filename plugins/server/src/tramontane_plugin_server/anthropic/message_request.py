"""The bodies of POST /v1/messages and /v1/messages/count_tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from tramontane.chat.toolbox import Function, Toolbox
from tramontane.sampling_params import SamplingParams
from tramontane.tools import Tool

from tramontane_plugin_server.openai.fields import NO_EFFECT, RequestBody, Sampling, refuse
from tramontane_plugin_server.openai.tool_fields import MAX_TOOLS, merge_tools, tools_of

from .blocks import AssistantBlocks, CacheControl, Texts, UserBlocks
from .context_edits import ContextManagement
from .tools import (
    AnyTool,
    JsonFormat,
    Thinking,
    ThinkingOn,
    ThinkingWithin,
    ToolChoice,
    toolbox_of,
)


class UserMessage(RequestBody):
    role: Literal["user"]
    content: UserBlocks


class AssistantMessage(RequestBody):
    """A message of the assistant; as the last message: the beginning of the answer."""

    role: Literal["assistant"]
    content: AssistantBlocks


class SystemMessage(RequestBody):
    """Instructions between other messages, if the chat template supports that."""

    refused: ClassVar[Mapping[str, str]] = {
        "clear_at": "system messages keep their position",
        "output_config": "it is set for the whole request",
    }
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {"clear_at": ("never",)}

    role: Literal["system"]
    content: Texts


Message = Annotated[UserMessage | AssistantMessage | SystemMessage, Field(discriminator="role")]


class OutputConfig(RequestBody):
    """The format of the answer and the effort."""

    refused: ClassVar[Mapping[str, str]] = {
        "task_budget": "token budgets are not shown to the model; use max_tokens",
    }

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="passed to the chat template as reasoning_effort"
    )
    format: JsonFormat | None = None


class Metadata(RequestBody):
    user_id: str | None = Field(None, max_length=512, description=NO_EFFECT)


class CountRequest(RequestBody):
    """A conversation whose tokens to count."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [
        {"properties": {"output_format": {"type": "null"}}},
        {"properties": {"output_config": {"properties": {"format": {"type": "null"}}}}},
    ]})  # fmt: skip
    refused: ClassVar[Mapping[str, str]] = {
        "billing_policy": "this server has no billing",
        "compaction": "this server does not compact conversations",
        "mcp_servers": "only MCP servers that the operator configured are used",
        "speed": "this server has one speed",
        "user_profile_id": "this server has no user profiles",
        "thread": "conversations are not stored; send all messages (Anthropic's clients:"
        " thread=False)",
        "workspace_id": "this server has no workspaces",
    }
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {
        "mcp_servers": ([],),
        "speed": ("standard",),
    }

    messages: list[Message] = Field(min_length=1, description="the conversation")
    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )
    system: Texts | None = Field(None, description="the system prompt")
    tools: list[AnyTool] | None = Field(
        None, max_length=MAX_TOOLS, description="tools with input_schema; others are ignored"
    )
    tool_choice: ToolChoice | None = Field(None, description="default: auto if there are tools")
    thinking: Thinking | None = Field(
        None, description="passed to the chat template as enable_thinking"
    )
    output_config: OutputConfig | None = Field(
        None, description="effort: passed to the chat template; format: enforced"
    )
    output_format: JsonFormat | None = Field(None, description="older name of output_config.format")
    context_management: ContextManagement | None = Field(
        None, description="`edits`: which thinking and tool results to clear"
    )
    cache_control: CacheControl | None = Field(None, description=NO_EFFECT)

    @model_validator(mode="after")
    def _one_format(self) -> Self:
        given = [self.output_format, self.output_config and self.output_config.format]
        if None not in given:
            refuse(
                "output_format",
                "output_format and output_config.format mean the same; give only the latter",
            )
        return self

    @property
    def answer_format(self) -> JsonFormat | None:
        """The format of the answer, None for free text."""
        if self.output_config is not None and self.output_config.format is not None:
            return self.output_config.format
        return self.output_format

    @property
    def thinking_requested(self) -> bool:
        """Whether thinking was requested."""
        return isinstance(self.thinking, ThinkingOn)

    @property
    def thinking_omitted(self) -> bool:
        """Whether thinking blocks are sent without their text."""
        return isinstance(self.thinking, ThinkingOn) and self.thinking.display == "omitted"

    def client_tools(self) -> list[Tool]:
        """The tools of the request."""
        return tools_of(self.tools)

    def toolbox(self, registered: Sequence[Function] = ()) -> Toolbox:
        """The tools that may be called. registered: tools of the server. Raises RequestError."""
        return toolbox_of(merge_tools(self.client_tools(), registered), self.tool_choice)

    def sampling(self) -> SamplingParams:
        """The sampling parameters that affect the prompt. Raises RequestError."""
        return SamplingParams(
            grammar=None if self.answer_format is None else self.answer_format.grammar()
        )

    def request_fields(self) -> dict[str, Any]:
        """Fields of the engine's request other than sampling: priority and cache_salt."""
        return {}

    def variables(self) -> dict[str, Any]:
        """Further variables of the chat template."""
        found: dict[str, Any] = {}
        if self.thinking is not None:
            found["enable_thinking"] = self.thinking_requested
        if isinstance(self.thinking, ThinkingWithin):
            found["thinking_budget"] = self.thinking.budget_tokens
        if self.output_config is not None and self.output_config.effort is not None:
            found["reasoning_effort"] = self.output_config.effort
        return found


class MessageRequest(CountRequest, Sampling):
    """A conversation to answer."""

    refused: ClassVar[Mapping[str, str]] = {
        **CountRequest.refused,
        "fallback_credit_token": "this server has no fallback models",
        "fallbacks": "this server has no fallback models",
        "container": "this server has no containers",
        "diagnostics": "cache diagnostics are not available; usage has the number of cached tokens",
        "inference_geo": "the model runs on this server",
    }

    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {**CountRequest.neutral, "fallbacks": ([],)}

    max_tokens: int = Field(ge=0, description="0: only process the prompt, to fill the cache")
    stop_sequences: list[Annotated[str, Field(min_length=1, max_length=1024)]] | None = Field(
        None, max_length=64
    )
    stream: bool | None = Field(
        None, description="send the answer as server-sent events while it is generated"
    )
    metadata: Metadata | None = Field(None, description=NO_EFFECT)
    service_tier: Literal["auto", "standard_only"] | None = Field(None, description=NO_EFFECT)

    @model_validator(mode="after")
    def _one_grammar(self) -> Self:
        if self.grammar is not None and self.answer_format is not None:
            refuse("grammar", "output_config.format and grammar cannot be combined; give one")
        return self

    def sampling(self) -> SamplingParams:
        """The sampling parameters. Raises RequestError."""
        return self.params(
            max_tokens=self.max_tokens,
            stop=self.stop_sequences or None,
            grammar=None if self.answer_format is None else self.answer_format.grammar(),
        )

    def request_fields(self) -> dict[str, Any]:
        return Sampling.request_fields(self)
