"""Settings of a server, from options and a TOML file. Every field is an option."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from tramontane.errors import ConfigError, RequestError
from tramontane.media.addresses import refuse_host
from tramontane.media.bounds import MOST_BYTES
from tramontane.media.fetch import Fetch
from tramontane.problems import Problem, first_problem, nearest

from .http_settings import HttpSettings
from .model_settings import Count, ModelSettings, Seconds, name_of


class Settings(HttpSettings):
    """The server. Keys of the TOML file and, with dashes, options of the command."""

    show_model_paths: bool = Field(
        False, description="let /v1/models show where models were loaded from, as root"
    )
    adapter_folder: Path | None = Field(
        None, description="let requests load and unload adapters, of files below this folder"
    )
    adapter_downloads: bool = Field(
        False, description="let requests load and unload adapters of the hub, org/name"
    )
    max_new_tokens: Count | None = Field(None, description="limit on max_tokens of a request")
    max_n: Count = Field(16, description="limit on n of a request")
    request_timeout: Seconds = Field(600.0, description="seconds that a request may take")
    keep_alive: Seconds = Field(10.0, description="seconds between comments in a silent stream")
    idle_unload: Seconds | None = Field(None, description="unload a model unused for so long")
    stored_responses: Count = Field(
        1000, description="how many responses are stored, for previous_response_id"
    )
    pages: bool = Field(True, description="serve the pages of installed plugins, such as the chat")
    mcp: bool = Field(False, description="serve MCP too, at /mcp")
    mcp_config: Path | None = Field(
        None, description="MCP servers whose tools models may call in chats"
    )
    tool_dispatch_url: str | None = Field(
        None, description="URL that tool calls are sent to, by POST; the next two select which"
    )
    tool_dispatch_tools: Path | None = Field(
        None, description="JSON list of tools added to every chat, whose calls are sent there"
    )
    tool_dispatch_names: tuple[str, ...] = Field(
        (), description="tools of requests whose calls are sent there too; repeatable, *: all"
    )
    tool_dispatch_header: tuple[str, ...] = Field(
        (), description="header to send, 'NAME: VALUE' with ${VARIABLE}s; repeatable"
    )
    tool_dispatch_ca: Path | None = Field(
        None, description="CA certificates for that URL, PEM; default: the system's"
    )
    tool_dispatch_timeout: Seconds = Field(30.0, description="seconds for a call there")
    tool_dispatch_concurrency: Count = Field(10, description="calls there at once; more wait")
    tools: tuple[str, ...] = Field(
        (), description="toolsets that models may use, such as search,files; repeatable"
    )
    tool_option: tuple[str, ...] = Field(
        (), description="an option of a toolset, NAME.OPTION=VALUE; repeatable"
    )
    approvals: str | None = Field(
        None,
        description="of calls of tools that do more than read: auto, ask or deny, or by risk, as "
        "in network=auto,execute=deny; given, of all tools that run here; else: ask, of toolsets",
    )
    approval_timeout: Seconds = Field(300.0, description="seconds for a client to answer")
    tool_folder: Path | None = Field(
        None, description="where conversations keep their files; default: in the user's cache"
    )
    allow_fetch: bool = Field(
        False, description="fetch media at http: and https: addresses, of public hosts only"
    )
    fetch_host: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="fetch media from this host, public or not, HOST or HOST:PORT; repeatable"
    )
    fetch_max_bytes: Count = Field(
        MOST_BYTES, description="bytes that are fetched for one request, of all files together"
    )
    fetch_timeout: Seconds = Field(30.0, description="seconds for that")
    strict_fields: bool = Field(
        False, description="refuse requests that have fields, or tools, of unknown kinds"
    )
    max_tool_rounds: Count = Field(
        8, description="rounds of tool calls that the server runs in one answer"
    )
    metrics_by_key: bool = Field(
        False, description="count requests and tokens by the names of API keys in /metrics"
    )
    models: tuple[ModelSettings, ...] = Field(
        (ModelSettings.model_validate({}),), min_length=1, description="see ModelSettings"
    )

    @model_validator(mode="after")
    def _whole(self) -> Settings:
        self._dispatch_whole()
        if self.tool_option and not self.tools:
            raise ValueError("tool_option is of a toolset, and none is on: tools")
        names = [name for model in self.models for name in (name_of(model), *model.alias)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two models are called {name!r}: give one another name")
        adapters = [name for model in _joined(self.models) for name in model.adapters()]
        for name in adapters:
            if name in names or adapters.count(name) > 1:
                raise ValueError(
                    f"an adapter and another one, or a model, are called {name!r}: requests choose "
                    "by the name; give one another, or the adapters to one model, below [[models]]"
                )
        return self

    def _dispatch_whole(self) -> None:
        which = bool(self.tool_dispatch_tools or self.tool_dispatch_names)
        if self.tool_dispatch_url is None:
            if which or self.tool_dispatch_header or self.tool_dispatch_ca:
                raise ValueError("tool_dispatch_url is not set: nothing can be sent anywhere")
            return
        if not which:
            raise ValueError(
                "tool_dispatch_url says where calls go, not which: give a file of tools as "
                "tool_dispatch_tools, or names of requests' own tools as tool_dispatch_names "
                "('*': all of them)"
            )
        try:
            url = urlsplit(self.tool_dispatch_url)
            usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("tool_dispatch_url should be http://HOST/PATH or https://HOST/PATH")
        if url.username is not None:
            raise ValueError("tool_dispatch_url has a user's name: use tool_dispatch_header")

    @field_validator("fetch_host")
    @classmethod
    def _hosts(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for host in given:
            try:
                refuse_host(host)
            except RequestError as error:
                raise ValueError(error.message) from error
        return given

    def fetch(self) -> Fetch | None:
        """What may be fetched for requests; None: nothing."""
        if not self.allow_fetch and not self.fetch_host:
            return None
        return Fetch(
            hosts=self.fetch_host, public=self.allow_fetch,
            most=self.fetch_max_bytes, seconds=self.fetch_timeout,
        )  # fmt: skip

    def check(self) -> None:
        super().check()
        if self.adapter_folder is not None and not self.adapter_folder.is_dir():
            raise ConfigError(f"adapter_folder: there is no folder {self.adapter_folder}")


def read(
    path: Path | None, given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> Settings:
    """Settings of a file, and over them what was `given`. Raises ConfigError.

    given: fields of Settings and of ModelSettings; the latter are of every model. defaults: the
    same, of the user's configuration file, below what the file says. Models that differ in nothing
    but their names become one, which has all the names.
    """
    defaults = defaults or {}
    told: dict[str, Any] = {}
    if path is not None:
        try:
            told = tomllib.loads(path.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"cannot read {path}: {error}") from error
        _misplaced(path, told)
    of_models = {k: v for k, v in given.items() if k in ModelSettings.model_fields}
    told |= {key: value for key, value in given.items() if key not in of_models}
    model_defaults = {k: v for k, v in defaults.items() if k in ModelSettings.model_fields}
    told = {k: v for k, v in defaults.items() if k not in model_defaults} | told
    models = told.get("models", [{}])
    if isinstance(models, list) and all(isinstance(model, dict) for model in models):
        told["models"] = [{**model_defaults, **model, **of_models} for model in models]
    try:
        settings = Settings(**told)
    except ValidationError as error:
        problem = first_problem(error)
        raise ConfigError(_said(problem, path, {**defaults, **given})) from error
    return settings.model_copy(update={"models": _joined(settings.models)})


def _said(problem: Problem, path: Path | None, given: Mapping[str, Any]) -> str:
    """Where something is wrong, as the one who wrote it calls it: an option, or a file's key."""
    field = next((part for part in reversed(problem.path) if isinstance(part, str)), "")
    option = field in given
    where = f"--{field.replace('_', '-')}" if option else ".".join(map(str, problem.path))
    source = "" if option or path is None else f"{path}: "
    return f"{source}{problem.about(where)}"


def _misplaced(path: Path, told: Mapping[str, Any]) -> None:
    """Keys that are not known here, with what their writer may have meant. Raises ConfigError."""
    for key in told.keys() - Settings.model_fields.keys():
        if key in ModelSettings.model_fields:
            hint = "it is of a model, so it goes below [[models]]"
        else:
            hint = nearest(key, Settings.model_fields, shown="[[models]]" if key == "model" else "")
        raise ConfigError(f"{path}: unknown key {key!r}{hint and f': {hint}'}")
    models = told.get("models")
    if isinstance(models, dict):
        raise ConfigError(
            f"{path}: [models] has one pair of brackets: a model begins with [[models]]"
        )
    for index, model in enumerate(models if isinstance(models, list) else ()):
        for key in (
            model.keys() - ModelSettings.model_fields.keys() if isinstance(model, dict) else ()
        ):
            if key in Settings.model_fields:
                hint = "it is of the server, so it goes above the first [[models]]"
            else:
                hint = nearest(key, ModelSettings.model_fields)
            raise ConfigError(f"{path}: models.{index}: unknown key {key!r}{hint and f': {hint}'}")


def _joined(models: tuple[ModelSettings, ...]) -> tuple[ModelSettings, ...]:
    """Each model once: the weights of one that is listed under several names are loaded once."""
    found: dict[ModelSettings, ModelSettings] = {}
    for model in models:
        bare = model.model_copy(update={"name": None, "alias": ()})
        first = found.setdefault(bare, model)
        if first is not model:
            names = (*first.alias, *filter(None, [model.name]), *model.alias)
            found[bare] = first.model_copy(update={"alias": names})
    return tuple(found.values())


def written(settings: Settings) -> str:
    """Settings as TOML; keys and headers are not shown."""
    data = settings.model_dump(mode="json", exclude_none=True)
    for secret in ("api_key", "admin_key", "tool_dispatch_header"):
        data[secret] = ["(not shown)"] * len(data[secret])
    models = data.pop("models")
    lines = [f"{key} = {_value(value)}" for key, value in data.items()]
    for model in models:
        lines += ["", "[[models]]", *(f"{key} = {_value(value)}" for key, value in model.items())]
    return "\n".join(lines)


def _value(value: Any) -> str:
    # what JSON and TOML write alike: strings, numbers, booleans, lists of them
    return json.dumps(value, ensure_ascii=False)
