"""What a `Runner` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .agent import AgenticToolCallRecord
from .kinds import ToolCallType


@dataclass
class Usage:
    """Tokens, seconds, and tokens a second."""

    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    avg_tok_per_sec: float
    avg_prompt_tok_per_sec: float
    avg_compl_tok_per_sec: float
    total_time_sec: float
    total_prompt_time_sec: float
    total_completion_time_sec: float
    prompt_tokens_details: Any = None


@dataclass
class CalledFunction:
    """A function and the JSON text of its arguments."""

    name: str
    arguments: str


@dataclass
class ToolCallResponse:
    """A call that the model wrote."""

    index: int
    id: str
    tp: ToolCallType
    function: CalledFunction


@dataclass
class TopLogprob:
    """A token that was likely."""

    token: int
    logprob: float
    bytes: str | None


@dataclass
class ResponseLogprob:
    """A token, and those that were likeliest."""

    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]

    @property
    def content(self) -> list[ResponseLogprob]:
        """Itself: some programs read a chunk's log-probabilities as an answer's."""
        return [self]


@dataclass
class Logprobs:
    """The log-probabilities of an answer's tokens."""

    content: list[ResponseLogprob] | None


@dataclass
class ResponseMessage:
    """An answer."""

    content: str | None
    role: str
    tool_calls: list[ToolCallResponse] | None
    reasoning_content: str | None = None


@dataclass
class Choice:
    """One of the answers."""

    finish_reason: str
    index: int
    message: ResponseMessage
    logprobs: Logprobs | None = None
    stop_sequence: str | None = None


@dataclass
class ChatCompletionResponse:
    """The answers to a chat."""

    id: str
    choices: list[Choice]
    created: int
    model: str
    system_fingerprint: str
    object: str
    usage: Usage
    adapter_generation: str | None = None
    agentic_tool_calls: list[AgenticToolCallRecord] | None = None
    files: list[Any] | None = None
    session_id: str | None = None


@dataclass
class Delta:
    """More of an answer. content: a text in every chunk, perhaps empty."""

    content: str | None
    role: str
    tool_calls: list[ToolCallResponse] | None = None
    reasoning_content: str | None = None


@dataclass
class ChunkChoice:
    """More of one of the answers."""

    finish_reason: str | None
    index: int
    delta: Delta
    logprobs: ResponseLogprob | None
    stop_sequence: str | None = None


@dataclass
class ChatCompletionChunkResponse:
    """A part of a streamed answer."""

    id: str
    choices: list[ChunkChoice]
    created: int
    model: str
    system_fingerprint: str
    object: str
    usage: Usage | None = None
    adapter_generation: str | None = None
    session_id: str | None = None


@dataclass
class CompletionChoice:
    """One of the continuations."""

    finish_reason: str
    index: int
    text: str
    logprobs: Logprobs | None = None


@dataclass
class CompletionResponse:
    """The continuations of a text."""

    id: str
    choices: list[CompletionChoice]
    created: int
    model: str
    system_fingerprint: str
    object: str
    usage: Usage
    adapter_generation: str | None = None


@dataclass
class ImageChoice:
    """An image: a file's path, or its content in base64."""

    url: str | None
    b64_json: str | None


@dataclass
class ImageGenerationResponse:
    """Images of a prompt."""

    data: list[ImageChoice] = field(default_factory=list)
    created: int = 0


@dataclass
class SpeechGenerationResponse:
    """A sound: samples from -1 to 1."""

    pcm: list[float]
    rate: int
    channels: int


@dataclass
class CalibrationStatus:
    """How far a measurement of importances is."""

    collecting: bool
    layers: int
    layers_tracking: int
    total_rows: int
    min_rows: int
    max_rows: int


class LoraAdapterError(ValueError):
    """An adapter that cannot be loaded or unloaded. code: which error it is."""

    code: str = ""


@dataclass(frozen=True)
class LoraAdapterGeneration:
    """One content of an adapter."""

    generation: str


@dataclass
class LoraAdapterInfo:
    """An adapter that is loaded."""

    alias: str
    source: str
    revision: str | None
    generation: str
    rank: int
    bytes: int

    def exact(self) -> LoraAdapterGeneration:
        """This content of it, for a request."""
        return LoraAdapterGeneration(self.generation)


@dataclass
class LoraResidentGenerationInfo:
    """A content that is in memory."""

    generation: str
    aliases: list[str]
    rank: int
    bytes: int
    retired: bool
    active_leases: int


@dataclass
class LoraRuntimeStatus:
    """All adapters that are loaded."""

    adapters: list[LoraAdapterInfo]
    generations: list[LoraResidentGenerationInfo]
    resident_generations: int
    retired_generations: int
    resident_bytes: int
    max_adapters: int
    max_rank: int
    max_bytes: int
