"""Names of models that act. They can be made; a `Runner` refuses what nothing here runs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .kinds import (
    AgentToolApprovalDecisionKind,
    AgentToolKind,
    AgentToolSource,
    NetworkMode,
    SearchContextSize,
)


@dataclass
class ApproximateUserLocation:
    """About where the user is."""

    city: str
    country: str
    region: str
    timezone: str


@dataclass
class WebSearchUserLocation:
    """Where the user is."""

    location: ApproximateUserLocation

    @staticmethod
    def approximate(approximate: ApproximateUserLocation) -> WebSearchUserLocation:
        """About there."""
        return WebSearchUserLocation(approximate)

    Approximate = approximate


@dataclass
class WebSearchOptions:
    """How the web is searched."""

    search_context_size: SearchContextSize | None = None
    user_location: WebSearchUserLocation | None = None
    search_description: str | None = None
    extract_description: str | None = None


@dataclass
class AgentToolMetadata:
    """What tool a call is of."""

    source: AgentToolSource
    kind: AgentToolKind
    label: str


@dataclass
class AgentToolApproval:
    """A call that waits for an answer."""

    approval_id: str
    session_id: str
    round: int
    tool: AgentToolMetadata
    arguments_json: str
    code: str | None = None

    @property
    def arguments(self) -> Any:
        """The arguments as values."""
        return json.loads(self.arguments_json)


@dataclass
class AgentToolApprovalDecision:
    """The answer to it."""

    decision: AgentToolApprovalDecisionKind
    remember_for_session: bool = False
    message: str | None = None

    @staticmethod
    def approve(remember_for_session: bool = False) -> AgentToolApprovalDecision:
        """It may run."""
        return AgentToolApprovalDecision(
            AgentToolApprovalDecisionKind.Approve, remember_for_session
        )

    @staticmethod
    def deny(message: str | None = None) -> AgentToolApprovalDecision:
        """It may not; the message is told to the model."""
        return AgentToolApprovalDecision(AgentToolApprovalDecisionKind.Deny, False, message)


@dataclass
class SandboxPolicy:
    """What a sandbox allows."""

    max_memory_mb: int = 2048
    max_cpu_secs: int = 300
    max_procs: int = 64
    max_open_fds: int = 1024
    max_file_sz_mb: int = 256
    network: NetworkMode | None = NetworkMode.Loopback
    extra_fs_read: list[str] = field(default_factory=list)
    extra_fs_write: list[str] = field(default_factory=list)
    extra_env: list[str] = field(default_factory=list)
    strict: bool = False


@dataclass
class CodeExecutionConfig:
    """How code is run."""

    python_path: str | None = None
    timeout_secs: int | None = None
    working_directory: str | None = None
    sandbox_policy: SandboxPolicy | None = None
    permission: Any = None
    approval_callback: Any = None


@dataclass
class ShellConfig:
    """How commands are run."""

    shell_path: str | None = None
    timeout_secs: int | None = None
    working_directory: str | None = None
    sandbox_policy: SandboxPolicy | None = None
    permission: Any = None


@dataclass
class ShellSkillMount:
    """A folder of instructions and files."""

    name: str
    description: str
    source_path: str


@dataclass
class RequestedFile:
    """A file that is asked for."""

    name: str
    format: str | None = None
    description: str | None = None


class InputFile:
    """A file that goes with a request."""

    def __init__(self, name: str, data: bytes, mime_type: str | None = None) -> None:
        self.id, self.name, self.mime_type = f"file-{name}", name, mime_type
        self.data, self.bytes = bytes(data), len(data)

    @staticmethod
    def from_text(name: str, text: str, mime_type: str = "text/plain") -> InputFile:
        """One of a text."""
        return InputFile(name, text.encode(), mime_type)

    @staticmethod
    def from_path(path: str, mime_type: str | None = None, name: str | None = None) -> InputFile:
        """One that is on the disk."""
        return InputFile(name or Path(path).name, Path(path).read_bytes(), mime_type)


@dataclass
class FileSource:
    """What made a file."""

    tool: str
    round: int
    turn: int


class File:
    """A file that a tool made; nothing here makes any."""


@dataclass
class AgenticToolCallRecord:
    """A call that was run."""

    round: int
    name: str
    arguments: str
    result_content: str
    result_images_base64: list[str] = field(default_factory=list)
    file_ids: list[str] = field(default_factory=list)
