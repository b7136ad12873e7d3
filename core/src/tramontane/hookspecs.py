"""What a plugin may implement.

Offers are asked for once, when a plugin is loaded; each yields records from `tramontane.plugin`.
Every loaded plugin is notified of events as they happen; the return value is ignored.
Plural noun: an offer. Past participle: an event. There is nothing else, and never a hook
inside the token loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from . import plugin
    from .checkpoint.load_options import LoadReport
    from .engine.request import RequestResult

hookspec = pluggy.HookspecMarker("tramontane")


@hookspec
def architectures() -> Iterable[plugin.Architecture]:  # type: ignore[empty-body]
    """Yield the model architectures that this plugin implements."""


@hookspec
def quantizers() -> Iterable[plugin.Quantizer]:  # type: ignore[empty-body]
    """Yield the checkpoint formats that this plugin translates to packed layouts."""


@hookspec
def backends() -> Iterable[plugin.Backend]:  # type: ignore[empty-body]
    """Yield the kinds of device that this plugin drives."""


@hookspec
def samplers() -> Iterable[plugin.Sampler]:  # type: ignore[empty-body]
    """Yield steps that turn the candidates of a next token into better ones."""


@hookspec
def tool_callers() -> Iterable[plugin.ToolCaller]:  # type: ignore[empty-body]
    """Yield the textual forms in which models write their tool calls."""


@hookspec
def mcp_clients() -> Iterable[plugin.McpClient]:  # type: ignore[empty-body]
    """Yield the transports over which the tools of an MCP server can be reached."""


@hookspec
def toolsets() -> Iterable[plugin.Toolset]:  # type: ignore[empty-body]
    """Yield tools for models, which the owner turns on by name."""


@hookspec
def adapters() -> Iterable[plugin.AdapterForm]:  # type: ignore[empty-body]
    """Yield the forms of adapter files that this plugin reads."""


@hookspec
def drafters() -> Iterable[plugin.Drafter]:  # type: ignore[empty-body]
    """Yield what guesses the next tokens of answers."""


@hookspec
def interconnects() -> Iterable[plugin.Interconnect]:  # type: ignore[empty-body]
    """Yield what the processes of one model exchange numbers with."""


@hookspec
def commands() -> Iterable[plugin.Command]:  # type: ignore[empty-body]
    """Yield subcommands of `tramontane`."""


@hookspec
def pages() -> Iterable[plugin.Page]:  # type: ignore[empty-body]
    """Yield pages, or routes, that servers have at a path."""


@hookspec
def models() -> Iterable[plugin.Model]:  # type: ignore[empty-body]
    """Yield models whose files ship inside this plugin, by the names that `-m` takes."""


@hookspec
def model_loaded(report: LoadReport) -> None:
    """A model is ready. `report` names the plugins, layouts, kernels and bytes that made it."""


@hookspec
def request_finished(result: RequestResult) -> None:
    """One request is done, refused or cancelled."""
