"""The bodies of POST /v1/messages and /v1/messages/count_tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from tramontane.sampling_params import SamplingParams

from tramontane_plugin_server.openai.fields import NO_EFFECT, Asked, Sampling

from .blocks import AssistantBlocks, CacheControl, Texts, UserBlocks

NO_TOOLS = "this server does not call tools yet"
NO_FORMAT = "this server does not constrain answers yet"
NO_THINKING = "this server does not part thinking from answers yet"


class UserMessage(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    role: Literal["user"]
    content: UserBlocks


class AssistantMessage(BaseModel):
    """An earlier answer; as the last message: the beginning of the new one."""

    model_config = ConfigDict(extra="forbid", strict=True)
    role: Literal["assistant"]
    content: AssistantBlocks


class SystemMessage(BaseModel):
    """Instructions between the others, where the chat template has a place for them."""

    model_config = ConfigDict(extra="forbid", strict=True)
    role: Literal["system"]
    content: Texts


Message = Annotated[UserMessage | AssistantMessage | SystemMessage, Field(discriminator="role")]


class Thinking(Asked):
    """Whether the model thinks first."""

    refused: ClassVar[Mapping[str, str]] = {
        "budget_tokens": NO_THINKING,
        "display": NO_THINKING,
    }
    type: Literal["disabled"] = Field(description=f"others are refused: {NO_THINKING}")


class OutputConfig(Asked):
    """How the answer is made."""

    refused: ClassVar[Mapping[str, str]] = {"format": NO_FORMAT}
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="passed to the chat template as reasoning_effort"
    )


class Metadata(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    user_id: str | None = Field(None, max_length=512, description=NO_EFFECT)


class CountRequest(Asked):
    """A conversation whose tokens to count."""

    refused: ClassVar[Mapping[str, str]] = {
        "context_management": "nothing is edited out of conversations here",
        "mcp_servers": NO_TOOLS,
        "output_format": NO_FORMAT,
        "speed": "there is one speed here: the fastest",
        "tool_choice": NO_TOOLS,
        "tools": NO_TOOLS,
        "user_profile_id": "there are no user profiles here",
        "workspace_id": "there are no workspaces here",
    }
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {
        "mcp_servers": ([],),
        "speed": ("standard",),
        "tool_choice": ({"type": "auto"}, {"type": "none"}),
        "tools": ([],),
    }

    messages: list[Message] = Field(min_length=1)
    model: str | None = Field(None, max_length=512, description="none, or default: the first")
    system: Texts | None = None
    thinking: Thinking | None = Field(
        None, description=f"disabled, which the chat template is told; others: {NO_THINKING}"
    )
    output_config: OutputConfig | None = Field(
        None, description=f"effort, passed to the chat template; format: {NO_FORMAT}"
    )
    cache_control: CacheControl | None = Field(None, description=NO_EFFECT)

    def variables(self) -> dict[str, Any]:
        """What else the chat template is told."""
        found: dict[str, Any] = {}
        if self.thinking is not None:
            found["enable_thinking"] = False
        if self.output_config is not None and self.output_config.effort is not None:
            found["reasoning_effort"] = self.output_config.effort
        return found


class MessageRequest(CountRequest, Sampling):
    """A conversation to answer."""

    refused: ClassVar[Mapping[str, str]] = {
        **CountRequest.refused,
        "container": "there are no containers here",
        "diagnostics": "it is not told why a prompt was not cached; usage says how much was",
        "inference_geo": "the model runs where this server does",
    }

    max_tokens: int = Field(ge=0, description="0: only compute the prompt, for the cache")
    stop_sequences: list[Annotated[str, Field(min_length=1, max_length=1024)]] | None = Field(
        None, max_length=64
    )
    stream: bool | None = None
    metadata: Metadata | None = Field(None, description=NO_EFFECT)
    service_tier: Literal["auto", "standard_only"] | None = Field(None, description=NO_EFFECT)

    def sampling(self) -> SamplingParams:
        """How to generate. Raises RequestError."""
        return self.params(max_tokens=self.max_tokens, stop=self.stop_sequences or None)
