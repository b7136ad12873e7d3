"""The toolsets that the owner turned on, open for each conversation that uses them."""

from __future__ import annotations

import asyncio
import atexit
import inspect
import secrets
import threading
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane import plugin
from tramontane.chat.toolbox import Function
from tramontane.errors import EngineBusy, RequestError, TramontaneError
from tramontane.registry import Registry
from tramontane.system import paths
from tramontane.tools import ToolResult
from tramontane.toolset import ToolContext

from .deleting import delete
from .kept_folders import KeptFolders
from .tool_options import options_of

if TYPE_CHECKING:
    from tramontane.toolset import ToolSession

IDLE = 3600.0
"""Seconds after which the tools of a conversation that nobody used are closed."""
KEPT = 7 * 24 * 3600.0
"""Seconds after which the files of a conversation that nobody used are removed."""
MOST_KEPT = 8 << 30
"""Bytes of all conversations' files; beyond, those of the one unused for longest are removed."""
EVERY = 60.0
"""Seconds between looks at what is to be closed and removed."""
MOST_OPEN = 64
"""Conversations that are open at once; one more closes the one that was used longest ago."""
OPENING = 60.0
"""Seconds for opening the tools of a conversation."""


@dataclass
class _Open:
    """An open conversation. remembered: tools that a person allowed for all of it."""

    name: str
    folder: Path
    passing: bool
    media: frozenset[str]
    sessions: asyncio.Future[list[tuple[str, ToolSession]]]
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    remembered: set[str] = field(default_factory=set)
    users: int = 0
    used: float = field(default_factory=time.monotonic)
    task: asyncio.Task[None] | None = None


class Toolsets:
    """All of it runs in a thread of its own, in one event loop. A context manager, thread-safe.

    names: of toolsets. options: NAME.OPTION=VALUE, or values by NAME.OPTION. folder: where each
    conversation has a folder for its files. idle, kept: seconds. most_kept: bytes of the files of
    conversations that are not open. timeout: seconds for a call of a tool that says none itself.

    Raises PluginError for a name that nothing offers, UsageError for options that cannot be.
    """

    def __init__(
        self,
        names: Sequence[str],
        options: Iterable[str] | Mapping[str, Any] = (),
        *,
        registry: Registry | None = None,
        folder: Path | None = None,
        idle: float = IDLE,
        kept: float = KEPT,
        most_kept: int = MOST_KEPT,
        timeout: float = 60.0,
    ) -> None:
        registry = registry or Registry.from_environment()
        self.offers = [registry.get(plugin.Toolset, name) for name in names]
        self._options = options_of(self.offers, options)
        top = folder or paths.cache() / "conversations"
        self._folders = KeptFolders(top, kept, most_kept, 3 * EVERY)
        self._idle, self._timeout = idle, timeout
        self._open: dict[str, _Open] = {}
        self._keeping: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        # each may run code for minutes; what stops it must never wait for a thread
        self._loop.set_default_executor(ThreadPoolExecutor(5 * MOST_OPEN, "tramontane-tool"))
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="tramontane-tools", daemon=True
        )
        self._tidying = self._loop.create_task(self._tidy())
        self._thread.start()
        atexit.register(self.close)

    def __enter__(self) -> Toolsets:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> None:
        """Open them once and close them again. Raises TramontaneError where they cannot be."""
        name = self.passing()
        try:
            self.functions(name)
        finally:
            self.end(name)

    def passing(self) -> str:
        """The name of a conversation that nobody comes back to: `end` removes its files too."""
        return f"~{secrets.token_hex(8)}"

    def functions(
        self, conversation: str, media: Iterable[str] = (), *, hold: bool = False
    ) -> list[Function]:
        """The tools of a conversation, which is opened where it is not. hold: nothing else closes
        it before `release`, though no call runs. Raises TramontaneError."""
        found: list[Function] = self._wait(self._functions(conversation, frozenset(media), hold))
        return found

    async def functions_async(self, conversation: str, media: Iterable[str] = ()) -> list[Function]:
        """Like `functions`, without blocking the event loop."""
        asked = self._functions(conversation, frozenset(media), False)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked, self._loop))

    def release(self, conversation: str) -> None:
        """Undo one `hold`."""
        self._loop.call_soon_threadsafe(self._release, conversation)

    def _release(self, conversation: str) -> None:
        found = self._open.get(conversation)
        if found is not None and found.users:
            found.users -= 1
            found.used = time.monotonic()

    def toolset_of(self, conversation: str) -> dict[str, str]:
        """The toolset of each tool of an open conversation, by the tool's name."""
        found: dict[str, str] = self._wait(self._names(conversation))
        return found

    def remembered(self, conversation: str) -> set[str]:
        """The tools that a person allowed for all of an open conversation."""
        found = self._open.get(conversation)
        return set() if found is None else found.remembered

    def folder_of(self, conversation: str) -> Path:
        """Where a conversation's files are."""
        return self._folders.of(conversation)

    def end(self, conversation: str) -> None:
        """Close a conversation; one of `passing` loses its files."""
        self._wait(self._end(conversation))

    async def end_async(self, conversation: str) -> None:
        """Like `end`, without blocking the event loop."""
        ending = asyncio.run_coroutine_threadsafe(self._end(conversation), self._loop)
        await asyncio.wrap_future(ending)

    def end_soon(self, conversation: str) -> None:
        """Like `end`, without waiting for it."""
        self._loop.call_soon_threadsafe(self._end_later, conversation)

    def _end_later(self, conversation: str) -> None:
        found = self._open.get(conversation)
        if found is not None:
            found.closing.set()

    def close(self) -> None:
        """Close all conversations. Files of those with names stay."""
        if not self._thread.is_alive():
            return
        atexit.unregister(self.close)
        with suppress(TimeoutError):
            self._wait(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self._loop.close()

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _functions(self, name: str, media: frozenset[str], hold: bool) -> list[Function]:
        found = await self._opened(name, media)
        found.users += 1
        held = False
        try:
            sessions = await asyncio.wait_for(asyncio.shield(found.sessions), OPENING)
            every = [one for _, session in sessions for one in session.functions()]
            held = hold
        except TimeoutError as error:
            raise RequestError(f"the tools were not open within {OPENING:g} s") from error
        finally:
            found.used = time.monotonic()
            found.users -= not held
        return [self._bound(one, found) for one in every]

    async def _opened(self, name: str, media: frozenset[str]) -> _Open:
        """The conversation, which no two requests begin. Waits for the end of one that closes."""
        self._close_idle()
        while (found := self._open.get(name)) is None or found.closing.is_set():
            if found is not None:
                await self._closed(found)
            elif len(self._open) < MOST_OPEN:
                return self._begin(name, media)
            else:
                await self._make_room()
        return found

    async def _names(self, name: str) -> dict[str, str]:
        found = self._open.get(name)
        sessions = [] if found is None else await found.sessions
        return {one.tool.name: toolset for toolset, s in sessions for one in s.functions()}

    def _begin(self, name: str, media: frozenset[str]) -> _Open:
        folder = self._folders.made(name)
        ready = self._loop.create_future()
        found = _Open(name, folder, name.startswith("~"), media, ready)
        self._open[name] = found
        found.task = self._loop.create_task(self._keep(found))
        self._keeping.add(found.task)
        found.task.add_done_callback(self._keeping.discard)
        return found

    async def _keep(self, one: _Open) -> None:
        """Enter and leave all sessions of a conversation in one task."""
        try:
            async with AsyncExitStack() as stack:
                sessions = []
                for offer in self.offers:
                    context = ToolContext(
                        conversation=one.name, folder=one.folder, media=one.media,
                        options=self._options[offer.name],
                    )  # fmt: skip
                    opened = plugin.load(offer.open)(context)
                    sessions.append((offer.name, await stack.enter_async_context(opened)))
                one.sessions.set_result(sessions)
                await one.closing.wait()
        except Exception as error:
            if one.sessions.done():
                raise
            if not isinstance(error, TramontaneError):
                error = RequestError(f"tools cannot be opened: {type(error).__name__}: {error}")
            one.sessions.set_exception(error)
            one.sessions.exception()
        finally:
            if self._open.get(one.name) is one:
                del self._open[one.name]
            if one.passing:
                await asyncio.to_thread(delete, one.folder)
            else:
                self._folders.touch([one.folder])

    def _bound(self, function: Function, one: _Open) -> Function:
        """A function whose coroutines run in the loop here, whoever calls it."""
        if not inspect.iscoroutinefunction(function.run):
            return replace(
                function, run=lambda **arguments: _named(function.run(**arguments), one.folder)
            )
        limit = self._timeout if function.timeout is None else function.timeout

        async def run(**arguments: Any) -> Any:
            work = self._limited(partial(function.run, **arguments), limit, one)
            found = asyncio.run_coroutine_threadsafe(work, self._loop)
            return _named(await asyncio.wrap_future(found), one.folder)

        return replace(function, run=run, timeout=limit)

    async def _limited(self, work: Any, limit: float, one: _Open) -> Any:
        one.users += 1
        try:
            made: Awaitable[Any] = work()
            return await asyncio.wait_for(made, limit)
        finally:
            one.users -= 1
            one.used = time.monotonic()

    async def _make_room(self) -> None:
        unused = [one for one in self._open.values() if not one.users]
        if not unused:
            raise EngineBusy(f"{MOST_OPEN} conversations use tools now: try again later", 5)
        await self._closed(min(unused, key=lambda one: one.used))

    async def _closed(self, one: _Open) -> None:
        await self._end(one.name)
        if self._open.get(one.name) is one:
            raise EngineBusy("the tools of a conversation do not close: try again later", 5)

    async def _tidy(self) -> None:
        """Close and remove what nobody uses, though no request comes."""
        while True:
            self._close_idle()
            self._folders.touch(one.folder for one in self._open.values())
            found = await asyncio.to_thread(self._folders.measured)
            used = {one.folder for one in self._open.values()}
            for folder in self._folders.set_aside(found, used):
                await asyncio.to_thread(delete, folder)
            await asyncio.sleep(EVERY)

    def _close_idle(self) -> None:
        now = time.monotonic()
        for one in self._open.values():
            if not one.users and now - one.used > self._idle:
                one.closing.set()

    async def _end(self, name: str) -> None:
        found = self._open.get(name)
        if found is not None and found.task is not None:
            found.closing.set()
            await asyncio.wait({found.task}, timeout=OPENING)

    async def _end_all(self) -> None:
        self._tidying.cancel()
        for one in self._open.values():
            one.closing.set()
        await asyncio.wait({self._tidying, *self._keeping}, timeout=OPENING)


def _named(found: Any, folder: Path) -> Any:
    """A result whose files are named from the conversation's folder on."""
    if not isinstance(found, ToolResult):
        return found
    within = [one.relative_to(folder) if one.is_relative_to(folder) else one for one in found.files]
    return replace(found, files=within)
