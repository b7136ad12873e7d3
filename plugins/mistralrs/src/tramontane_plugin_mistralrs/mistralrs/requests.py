"""What a `Runner` is asked."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from .kinds import ToolChoice


@dataclass
class ChatCompletionRequest:
    """Answer a conversation; a text in place of messages is continued as it is."""

    messages: Any
    model: str = "default"
    logprobs: bool = False
    n_choices: int = 1
    logit_bias: dict[int, float] | None = None
    top_logprobs: int | None = None
    max_tokens: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    stop_seqs: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stream: bool = False
    grammar: str | None = None
    grammar_type: str | None = None
    min_p: float | None = None
    tool_schemas: list[str] | None = None
    tool_choice: ToolChoice | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_sequence_breakers: list[str] | None = None
    web_search_options: Any = None
    enable_thinking: bool | None = None
    truncate_sequence: bool = False
    reasoning_effort: str | None = None
    max_tool_rounds: int | None = None
    tool_dispatch_url: str | None = None
    enable_code_execution: bool = False
    enable_shell: bool = False
    shell_skills: list[Any] | None = None
    agent_permission: Any = None
    agent_approval_callback: Any = None
    code_execution_permission: Any = None
    session_id: str | None = None
    files: list[Any] | None = None
    input_files: list[Any] | None = None
    ignore_eos: bool = False
    _: KW_ONLY
    adapter: Any = None


@dataclass
class CompletionRequest:
    """Continue a text."""

    prompt: str
    model: str = "default"
    best_of: int = 1
    echo_prompt: bool = False
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    max_tokens: int | None = None
    n_choices: int = 1
    stop_seqs: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    suffix: str | None = None
    top_k: int | None = None
    grammar: str | None = None
    grammar_type: str | None = None
    min_p: float | None = None
    tool_schemas: list[str] | None = None
    tool_choice: ToolChoice | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_sequence_breakers: list[str] | None = None
    truncate_sequence: bool = False
    ignore_eos: bool = False
    _: KW_ONLY
    adapter: Any = None


@dataclass
class EmbeddingRequest:
    """Vectors of a text, of texts, or of token ids."""

    input: Any
    truncate_sequence: bool = False


@dataclass
class _FineTuned:
    pass


@dataclass
class _LoraExpert:
    rank: int
    alpha: float
    target_modules: list[str]


class AnyMoeExpertType:
    """What the experts of a mixture are."""

    FineTuned = _FineTuned
    LoraAdapter = _LoraExpert


@dataclass
class AnyMoeConfig:
    """A mixture of experts that is trained."""

    hidden_size: int
    dataset_json: str
    prefix: str
    mlp: str
    model_ids: list[str]
    expert_type: Any
    layers: list[int] = field(default_factory=list)
    lr: float = 1e-3
    epochs: int = 100
    batch_size: int = 4
    gate_model_id: str | None = None
    training: bool = True
    loss_csv_path: str | None = None
