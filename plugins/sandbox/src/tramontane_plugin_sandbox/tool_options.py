"""The owner's options of both toolsets, as a sandbox takes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tramontane.toolset import ToolContext

from .errors import NoSandbox
from .limits import MIB, Limits
from .sandbox import Sandbox


def sandbox_of(context: ToolContext, name: str) -> Sandbox:
    """A sandbox in a conversation's folder. name: the toolset's. Raises NoSandbox or UsageError."""
    options = context.options
    try:
        return Sandbox(
            context.folder,
            kind=options["sandbox"],
            network=options["network"],
            read=[Path(each).expanduser() for each in (options["read"] or "").split(":") if each],
            limits=_limits(options),
        )
    except NoSandbox as error:
        off = (
            f"--tool-option {name}.sandbox=off runs what models write with the server's own rights"
        )
        raise NoSandbox(error.message, hint=off) from error


def _limits(options: Mapping[str, Any]) -> Limits:
    return Limits(
        memory=options["memory"] * MIB,
        processes=options["processes"],
        disk=options["disk"] * MIB,
        file_size=min(Limits.file_size, options["disk"] * MIB),
        cpu=max(1, options["cpu"]),
        seconds=options["seconds"],
        output=options["output"],
    )
