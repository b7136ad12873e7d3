"""The owner's options of both toolsets, as a sandbox takes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tramontane.toolset import ToolContext

from .limits import MIB, Limits
from .sandbox import Sandbox


def sandbox_of(context: ToolContext) -> Sandbox:
    """A sandbox in a conversation's folder. Raises NoSandbox or UsageError."""
    options = context.options
    return Sandbox(
        context.folder,
        kind=options["sandbox"],
        network=options["network"],
        read=[Path(each).expanduser() for each in (options["read"] or "").split(":") if each],
        limits=_limits(options),
    )


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
