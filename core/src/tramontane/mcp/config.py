"""Which MCP servers there are: mistral.rs's JSON, or the `mcpServers` form of desktop clients."""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tramontane.errors import RequestError
from tramontane.tools import McpServer

PYTHONS = ("python", "python3")
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
TRANSPORTS = {
    "process": "stdio", "stdio": "stdio", "http": "http", "streamable-http": "http",
    "streamablehttp": "http", "streamable_http": "http", "sse": "sse", "websocket": "websocket",
    "ws": "websocket",
}  # fmt: skip
OTHERS = {"alwaysAllow", "autoApprove", "description", "icon"}
"""What desktop clients keep beside, and means nothing here."""


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """One server, and how its tools are offered.

    prefix: put before its tools' names; None: only where names clash. allow, deny: names of tools.
    timeouts: seconds by tool, over the server's own. concurrency: calls at once.
    required: whether it is an error that it is down; None: as the caller decides. resources,
    prompts: whether they are offered as tools.
    """

    server: McpServer
    transport: str
    prefix: str | None = None
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    timeouts: Mapping[str, float] | None = None
    concurrency: int = 10
    required: bool | None = None
    resources: bool = False
    prompts: bool = False
    strict: bool = False
    """Whether arguments that a tool's schema forbids are made impossible."""


@dataclass(frozen=True)
class McpConfig:
    """All servers that are switched on."""

    servers: tuple[ServerConfig, ...] = ()

    def all_required(self) -> McpConfig:
        """The same, but a server that is down is an error unless its `required` is false."""
        servers = (replace(s, required=s.required is not False) for s in self.servers)
        return McpConfig(tuple(servers))

    def only(self, name: str) -> McpConfig:
        """One of them. Raises RequestError where there is none of that name."""
        found = tuple(one for one in self.servers if one.server.name == name)
        if not found:
            raise no_server(name, [one.server.name for one in self.servers])
        return McpConfig(found)


def no_server(name: str, names: Sequence[str]) -> RequestError:
    """The error for a name that no server has."""
    return RequestError(f"there is no MCP server {name!r}; there are: {', '.join(names) or 'none'}")


def read_config(given: Path | str | Mapping[str, Any]) -> McpConfig:
    """A configuration, from a file or as it is. Raises RequestError that names what is wrong."""
    if isinstance(given, Mapping):
        return _config(given, "the MCP configuration")
    try:
        value = json.loads(Path(given).read_text("utf-8"))
    except OSError as error:
        raise RequestError(f"cannot read {given}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{given} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise RequestError(f"{given} should be an object with mcpServers or servers")
    return _config(value, str(given))


def _config(value: Mapping[str, Any], where: str) -> McpConfig:
    if "mcpServers" in value:
        named = value["mcpServers"]
        if not isinstance(named, Mapping):
            raise RequestError(f"{where}: mcpServers should be an object of servers by name")
        servers = [_desktop(name, given, where) for name, given in named.items()]
    elif "servers" in value:
        if not isinstance(value["servers"], Sequence) or isinstance(value["servers"], str):
            raise RequestError(f"{where}: servers should be a list")
        if value.get("auto_register_tools") is False:
            return McpConfig()
        servers = [_listed(given, value, where) for given in value["servers"]]
    else:
        raise RequestError(f"{where} has neither mcpServers nor servers")
    found = [server for server in servers if server is not None]
    names = [server.server.name for server in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RequestError(f"{where}: two servers are named {twice[0]!r}")
    return McpConfig(tuple(found))


DESKTOP = {
    "command", "args", "env", "cwd", "url", "headers", "type", "transport", "timeout", "timeouts",
    "prefix", "allow", "deny", "concurrency", "required", "resources", "prompts", "bearer_token",
    "disabled", "enabled", "strict",
}  # fmt: skip


def _desktop(name: str, given: Any, where: str) -> ServerConfig | None:
    """`"name": {"command": ..., "args": [...]}` or `"name": {"url": ...}`."""
    take = _Fields(given, f"{where}: server {name!r}", DESKTOP)
    if take.flag("disabled") or not take.flag("enabled", True):
        return None
    return _server(take, name, take.text("type") or take.text("transport"), take)


LISTED = {
    "id", "name", "source", "enabled", "tool_prefix", "bearer_token", "resources", "prompts",
    "allow", "deny", "required", "strict", "timeouts",
}  # fmt: skip
SOURCE = {"type", "command", "args", "work_dir", "env", "url", "timeout_secs", "headers"}


def _listed(given: Any, all_of: Mapping[str, Any], where: str) -> ServerConfig | None:
    """`{"name": ..., "source": {"type": "Process", "command": ...}}`."""
    take = _Fields(given, f"{where}: a server", LISTED)
    name = take.text("name") or take.text("id")
    if not name:
        raise RequestError(f"{where}: a server has no name")
    source = _Fields(take.value("source"), f"{where}: the source of server {name!r}", SOURCE)
    if not take.flag("enabled", True):
        return None
    whole = _Fields(all_of, where, None)
    return _server(
        _Fields(
            {
                **take.given,
                "timeout": source.value("timeout_secs") or whole.value("tool_timeout_secs"),
                "concurrency": whole.value("max_concurrent_calls"),
                "prefix": take.value("tool_prefix"),
            },
            take.where,
            None,
        ),
        name,
        source.text("type"),
        _Fields({**source.given, "cwd": source.value("work_dir")}, source.where, None),
    )


class _Fields:
    """Reads fields of the right type, or says where they are not."""

    def __init__(self, given: Any, where: str, known: set[str] | None) -> None:
        if not isinstance(given, Mapping):
            raise RequestError(f"{where} should be an object, not {type(given).__name__}")
        self.given, self.where = dict(given), where
        for name in () if known is None else sorted(given.keys() - known - OTHERS):
            close = difflib.get_close_matches(name, known or (), 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise RequestError(f"{where} has {name!r}, which is not known{hint}")

    def value(self, name: str) -> Any:
        return self.given.get(name)

    def text(self, name: str) -> str:
        found = self.given.get(name)
        if found is not None and not isinstance(found, str):
            raise self._wrong(name, "a text", found)
        return "" if found is None else expanded(found, f"{self.where}: {name}")

    def flag(self, name: str, default: bool = False) -> bool:
        found = self.given.get(name)
        if found is not None and not isinstance(found, bool):
            raise self._wrong(name, "true or false", found)
        return default if found is None else found

    def number(self, name: str, default: float) -> float:
        found = self.given.get(name)
        if found is None:
            return default
        if isinstance(found, bool) or not isinstance(found, int | float) or found <= 0:
            raise self._wrong(name, "a number above 0", found)
        return found

    def texts(self, name: str) -> tuple[str, ...] | None:
        found = self.given.get(name)
        if found is None:
            return None
        if not isinstance(found, list) or not all(isinstance(part, str) for part in found):
            raise self._wrong(name, "a list of texts", found)
        return tuple(expanded(part, f"{self.where}: {name}") for part in found)

    def table(self, name: str) -> dict[str, str]:
        found = self.given.get(name)
        if found is None:
            return {}
        if not isinstance(found, Mapping) or not all(
            isinstance(part, str) for pair in found.items() for part in pair
        ):
            raise self._wrong(name, "an object of texts", found)
        return {key: expanded(part, f"{self.where}: {name}") for key, part in found.items()}

    def _wrong(self, name: str, expected: str, found: Any) -> RequestError:
        return RequestError(f"{self.where}: {name} should be {expected}, not {found!r:.60}")


def _server(options: _Fields, name: str, kind: str, source: _Fields) -> ServerConfig:
    command, url = source.text("command"), source.text("url")
    if bool(command) == bool(url):
        raise RequestError(f"{source.where} should have a command or a url, one of them")
    headers = source.table("headers")
    if token := options.text("bearer_token"):
        headers["Authorization"] = f"Bearer {token}"
    timeouts = options.value("timeouts")
    times = _Fields(timeouts, f"{options.where}: timeouts", None) if timeouts is not None else None
    found = McpServer(
        name=name,
        command=(_python(command), *(source.texts("args") or ())) if command else (),
        url=url,
        environment=source.table("env"),
        folder=source.text("cwd"),
        headers=headers,
        timeout=float(options.number("timeout", 30)),
    )
    prefix = options.value("prefix")
    return ServerConfig(
        server=found,
        transport=TRANSPORTS.get(kind.lower(), kind) if kind else _guess(url),
        prefix=None if prefix is None else options.text("prefix"),
        allow=options.texts("allow"),
        deny=options.texts("deny") or (),
        timeouts={tool: float(times.number(tool, 30)) for tool in times.given} if times else None,
        concurrency=int(options.number("concurrency", 10)),
        required=options.flag("required") if options.value("required") is not None else None,
        resources=bool(options.value("resources")),
        prompts=options.flag("prompts"),
        strict=options.flag("strict"),
    )


def _python(command: str) -> str:
    """A bare "python" is the one that runs this: what PATH has may be none, or another environment
    without the server's packages. A path names any other."""
    return sys.executable if command in PYTHONS and sys.executable else command


def _guess(url: str) -> str:
    if not url:
        return "stdio"
    return "websocket" if url.startswith(("ws://", "wss://")) else "http"


def expanded(text: str, where: str) -> str:
    """`${NAME}` and `${NAME:-otherwise}` from the environment. Raises RequestError if not there."""

    def found(match: re.Match[str]) -> str:
        value = os.environ.get(match[1], match[2])
        if value is None:
            raise RequestError(f"{where}: the environment has no {match[1]}, which ${{}} refers to")
        return value

    return VARIABLE.sub(found, text)
