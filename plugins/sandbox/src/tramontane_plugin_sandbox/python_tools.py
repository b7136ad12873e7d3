"""The toolset `python`: a session of Python for each conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tramontane.chat.toolbox import Function, function_tool
from tramontane.tools import ToolResult
from tramontane.toolset import ToolContext

from .cancelling import in_thread
from .changes import changed, marks, pictures
from .python_session import GRACE, Outcome, PythonSession
from .tool_options import sandbox_of

FILES, PICTURES, LARGEST = 32, 4, 8 << 20
"""The most files named, pictures shown, and bytes of a picture."""
WAITING = 8
"""How many calls' time one has: it waits for those before it."""
STARTING = 10.0
"""Seconds for a process to begin or to end, on a busy machine."""


@asynccontextmanager
async def open_python(context: ToolContext) -> AsyncIterator[PythonTools]:
    """Raises NoSandbox or UsageError."""
    sandbox = await asyncio.to_thread(sandbox_of, context, "python")
    session = PythonSession(sandbox)
    try:
        yield PythonTools(context, session, sandbox.limits.seconds)
    finally:
        await asyncio.to_thread(session.close)
        await asyncio.to_thread(sandbox.close)


class PythonTools:
    """Calls run one after another: they share their variables."""

    def __init__(self, context: ToolContext, session: PythonSession, seconds: float) -> None:
        self._context = context
        self._session = session
        self._time = seconds + GRACE + STARTING
        self._turn = asyncio.Lock()

    def functions(self) -> Sequence[Function]:
        """`python` and `python_reset`."""
        time = WAITING * self._time
        return [
            function_tool(self.python, risk="execute", timeout=time),
            function_tool(self.python_reset, risk="execute", timeout=time),
        ]

    async def python(self, code: str) -> ToolResult:
        """Run Python code in a session that keeps its variables between calls. What is printed, the
        last expression's value and errors are returned. Pictures that the code writes as files,
        and figures of matplotlib, are shown. Files go into the current folder. There may be no
        network.

        code: the code to run
        """
        async with self._turn:
            before = await asyncio.to_thread(marks, self._context.folder)
            outcome = await in_thread(lambda stop: self._session.run(code, stop=stop))
            return await asyncio.to_thread(self._result, outcome, before)

    async def python_reset(self) -> str:
        """End the Python session: all variables are lost, and the next call begins with none. Files
        are kept."""
        async with self._turn:
            await asyncio.to_thread(self._session.close)
        return "the session is ended; the next code begins with no variables"

    def _result(self, outcome: Outcome, before: dict[str, tuple[int, int, int]]) -> ToolResult:
        folder = self._context.folder
        names = changed(before, marks(folder))[:FILES]
        images = []
        if "image" in self._context.media:
            images = pictures(folder, names, most=PICTURES, largest=LARGEST)
        return ToolResult(
            text=text_of(outcome, names), images=images, files=[folder / name for name in names]
        )


def text_of(outcome: Outcome, files: Sequence[str]) -> str:
    """What a model is told of it."""
    parts = [outcome.stdout.rstrip("\n")]
    if outcome.stderr:
        parts.append("[stderr]\n" + outcome.stderr.rstrip("\n"))
    parts += [outcome.value or "", outcome.error or ""]
    if outcome.note:
        parts.append(f"[{outcome.note}]")
    if files:
        parts.append(f"[files written: {', '.join(files)}]")
    return "\n".join(part for part in parts if part) or "[no output]"
