"""What tool callers and MCP clients deal in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable

Risk: TypeAlias = Literal["read", "network", "write", "execute"]
"""What a call may do, by which approvals go: read what the owner gave the conversation, reach other
machines, change files of the conversation, or run code."""
RISKS: tuple[Risk, ...] = get_args(Risk)


@dataclass(frozen=True)
class ToolCall:
    """One call that a model wrote. arguments: JSON text, an object. id: if it wrote one."""

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A function that a model may call. parameters: a JSON schema of an object."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    """Whether arguments that its schema forbids must be impossible; what cannot be enforced is an
    error."""
    bound: bool = False
    """The same as far as it can be: what cannot be enforced is in the log. A call that is required
    is bound always."""


@dataclass(frozen=True)
class Citation:
    """What an answer may be based on."""

    url: str
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """What a call may return instead of a text.

    text: for the model. images: encoded (PNG, JPEG), shown to models that see. files: that the call
    made, inside the conversation's folder. citations: what the text is from.
    """

    text: str
    images: Sequence[bytes] = ()
    files: Sequence[Path] = ()
    citations: Sequence[Citation] = ()


class ParseToolCalls(Protocol):
    """A tool caller's target: raises nothing on any text, and returns [] for plain text."""

    def __call__(self, text: str, tools: Sequence[Tool]) -> list[ToolCall]: ...


class WriteCalls(Protocol):
    """A tool caller's grammar: the rules, in Lark, of what follows `opening` in a call.

    The first rule is `calls`; a rule `before` is what may come before a call that is required, such
    as reasoning. spell: writes a text as a terminal, for all that may be a special
    token. arguments: writes a tool's arguments. several: whether there may be more than one call.
    """

    def __call__(
        self,
        tools: Sequence[Tool],
        spell: Callable[[str], str],
        arguments: Callable[[Tool], str],
        several: bool,
    ) -> str: ...


@dataclass(frozen=True, kw_only=True)
class McpServer:
    """A server to reach: for `stdio` a command, for the others a URL."""

    name: str
    command: Sequence[str] = ()
    url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    """Where a command runs; "" is here."""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 30.0
    """Seconds for one call."""


class McpSession(Protocol):
    """An open connection to a server."""

    async def tools(self) -> Sequence[Tool]: ...

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """The tool's answer as text. Raises TramontaneError when the tool fails."""
        ...


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Messages that a server keeps for its users. arguments: names, and whether each must be
    given; their values are texts."""

    name: str
    description: str = ""
    arguments: Mapping[str, bool] = field(default_factory=dict)


@runtime_checkable
class McpResources(Protocol):
    """What a session may have besides: texts that the server keeps."""

    async def resources(self) -> Sequence[tuple[str, str]]:
        """(URI, what it is) of each."""
        ...

    async def read(self, uri: str) -> str:
        """A resource as text."""
        ...


@runtime_checkable
class McpPrompts(Protocol):
    """What a session may have besides: prompts."""

    async def prompts(self) -> Sequence[Prompt]: ...

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> Sequence[tuple[str, str]]:
        """(role, text) of each of its messages. Raises TramontaneError."""
        ...


class ConnectMcp(Protocol):
    """An MCP client's target."""

    def __call__(self, server: McpServer) -> AbstractAsyncContextManager[McpSession]: ...
