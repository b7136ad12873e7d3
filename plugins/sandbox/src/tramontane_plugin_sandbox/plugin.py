"""The tools that run a model's code and commands, and the command that shows their sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tramontane.plugin import Command, Toolset, hookimpl

HERE = "tramontane_plugin_sandbox"
OPTIONS: Mapping[str, float | int | str | bool | None] = {
    "sandbox": "auto",
    "network": False,
    "read": None,
    "seconds": 60.0,
    "memory": 2048,
    "processes": 64,
    "disk": 1024,
    "cpu": 600,
    "output": 16384,
}
"""memory and disk in MiB, output in bytes, read: paths with `:` between them."""


@hookimpl
def toolsets() -> Iterable[Toolset]:
    """Off until the owner turns them on."""
    yield Toolset(
        name="python",
        summary="Run Python in a sandbox: the conversation's folder, no network.",
        options=OPTIONS,
        open=f"{HERE}.python_tools:open_python",
    )
    yield Toolset(
        name="shell",
        summary="Run shell commands in a sandbox: the conversation's folder, no network.",
        options=OPTIONS,
        open=f"{HERE}.shell_tools:open_shell",
    )


@hookimpl
def commands() -> Iterable[Command]:
    """`tramontane sandbox`."""
    yield Command(
        name="sandbox",
        summary="Run a command in the sandbox of models' code, or say what it holds.",
        run=f"{HERE}.command:run",
    )
