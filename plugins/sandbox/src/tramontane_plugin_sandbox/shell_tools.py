"""The toolset `shell`: commands, each a process of its own, in the conversation's folder."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tramontane.chat.toolbox import Function, function_tool
from tramontane.tools import ToolResult
from tramontane.toolset import ToolContext

from .cancelling import in_thread
from .changes import changed, marks
from .python_tools import FILES, STARTING, WAITING
from .sandbox import Finished, Sandbox
from .tool_options import sandbox_of

AT_ONCE = 4
"""Commands of one conversation."""


@asynccontextmanager
async def open_shell(context: ToolContext) -> AsyncIterator[ShellTools]:
    """Raises NoSandbox or UsageError."""
    sandbox = await asyncio.to_thread(sandbox_of, context, "shell")
    try:
        yield ShellTools(context, sandbox)
    finally:
        await asyncio.to_thread(sandbox.close)


class ShellTools:
    """Calls run at once, a few of them; more wait."""

    def __init__(self, context: ToolContext, sandbox: Sandbox) -> None:
        self._context = context
        self._sandbox = sandbox
        self._room = asyncio.Semaphore(AT_ONCE)
        self._shell = shutil.which("bash", path="/bin:/usr/bin") or "/bin/sh"

    def functions(self) -> Sequence[Function]:
        """`shell`."""
        time = WAITING * (self._sandbox.limits.seconds + STARTING)
        return [function_tool(self.shell, risk="execute", timeout=time)]

    async def shell(self, command: str) -> ToolResult:
        """Run a shell command in the conversation's folder. Its output and exit status are
        returned. Only files last from one command to the next: no variables, no current folder, no
        processes in the background. There may be no network.

        command: the command line, or a script of several lines
        """
        line = [self._shell, "-c", command]
        async with self._room:
            before = await asyncio.to_thread(marks, self._context.folder)
            finished = await in_thread(lambda stop: self._sandbox.run(line, stop=stop))
            names = changed(before, await asyncio.to_thread(marks, self._context.folder))[:FILES]
        files = [self._context.folder / name for name in names]
        return ToolResult(text=text_of(finished, names), files=files)


def text_of(finished: Finished, files: Sequence[str]) -> str:
    """What a model is told of it."""
    ended = finished.ended
    parts = [finished.stdout.rstrip("\n")]
    if finished.stderr:
        parts.append("[stderr]\n" + finished.stderr.rstrip("\n"))
    if ended.how == "exit":
        parts.append(f"[exit status {ended.status}]" if ended.status else "")
    elif ended.how == "signal":
        parts.append(f"[killed by signal {ended.status}]")
    else:
        parts.append(f"[killed: {ended.why or ended.how}]")
    if files:
        parts.append(f"[files written: {', '.join(files)}]")
    return "\n".join(part for part in parts if part) or "[no output]"
