"""What every toolset must do: open for several conversations, name its tools, and close."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tramontane.chat.toolbox import Function, Toolbox
from tramontane.errors import TramontaneError
from tramontane.plugin import Toolset, load
from tramontane.tools import RISKS
from tramontane.toolset import ToolContext

if TYPE_CHECKING:
    from tramontane.toolset import ToolSession

PATIENCE = 60.0
"""Seconds for opening and closing."""


def context_of(offer: Toolset, folder: Path, name: str = "one") -> ToolContext:
    """A conversation with a folder of its own."""
    folder = folder / name
    folder.mkdir()
    return ToolContext(conversation=name, folder=folder, options=dict(offer.options))


@asynccontextmanager
async def opened(offer: Toolset, *contexts: ToolContext) -> AsyncIterator[list[ToolSession]]:
    """Sessions, or a skip where there can be none on this machine."""
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        try:
            entered = [await stack.enter_async_context(load(offer.open)(c)) for c in contexts]
        except TramontaneError as error:
            pytest.skip(f"{offer.name} cannot be opened here: {error}")
        yield entered


def functions_of(offer: Toolset, folder: Path) -> Sequence[Function]:
    """Those of one conversation, which is closed again."""

    async def read() -> Sequence[Function]:
        async with opened(offer, context_of(offer, folder)) as (session,):
            return session.functions()

    return asyncio.run(read())


def test_open_gives_an_async_context_manager(offer: Toolset, tmp_path: Path) -> None:
    session = load(offer.open)(context_of(offer, tmp_path))
    assert isinstance(session, AbstractAsyncContextManager), (
        f"open= returned {type(session).__name__}; decorate an async generator with "
        "contextlib.asynccontextmanager, or return a class with __aenter__ and __aexit__"
    )


def test_each_tool_can_be_called_by_any_model(offer: Toolset, tmp_path: Path) -> None:
    functions = functions_of(offer, tmp_path)
    assert functions, "the session has no functions"
    wrong = [type(f).__name__ for f in functions if not isinstance(f, Function)]
    assert not wrong, f"functions() returns {wrong[0]}; make them by chat.toolbox.function_tool"
    Toolbox(functions)
    for function in functions:
        assert function.tool.description, f"{function.tool.name} has no description"
        json.dumps(dict(function.tool.parameters))


def test_each_tool_has_a_risk(offer: Toolset, tmp_path: Path) -> None:
    for function in functions_of(offer, tmp_path):
        assert function.risk in RISKS, f"{function.tool.name}: {function.risk!r} is not in {RISKS}"


def test_conversations_are_open_side_by_side(offer: Toolset, tmp_path: Path) -> None:
    async def both() -> None:
        contexts = [context_of(offer, tmp_path, name) for name in ("one", "two")]
        async with opened(offer, *contexts) as (first, second):
            assert first is not second, "two conversations share a session"
            names = [[f.tool.name for f in each.functions()] for each in (first, second)]
            assert names[0] == names[1], "the tools depend on which conversation is first"

    asyncio.run(both())
