"""Toolsets that are open for conversations: opened once, closed, and late calls cancelled."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from tramontane.agent import toolsets as module
from tramontane.agent.tool_options import names_of, options_of
from tramontane.agent.toolsets import Toolsets
from tramontane.chat.tool_loop import outcome_fields
from tramontane.chat.toolbox import Function, Toolbox, function_tool
from tramontane.errors import EngineBusy, RequestError, UsageError
from tramontane.plugin import Toolset
from tramontane.registry import Registry
from tramontane.tools import ToolCall, ToolResult
from tramontane.toolset import ToolContext

EVENTS: list[str] = []


@asynccontextmanager
async def open_counter(context: ToolContext) -> AsyncIterator[Counter]:
    if context.options["broken"]:
        raise ValueError("it is broken")
    EVENTS.append(f"open {context.conversation}")
    try:
        yield Counter(context)
    finally:
        EVENTS.append(f"close {context.conversation}")


class Counter:
    def __init__(self, context: ToolContext) -> None:
        self.context, self.count = context, 0
        self.loop = asyncio.get_running_loop()

    def functions(self) -> Sequence[Function]:
        made = [function_tool(self.add, risk="write"), function_tool(self.slow, timeout=0.1)]
        more = (self.plain, self.draw, self.draw_late, self.meet)
        return [*made, *(function_tool(one, timeout=60.0) for one in more)]

    async def add(self) -> int:
        """Count."""
        assert asyncio.get_running_loop() is self.loop
        self.count += 1
        return self.count

    async def slow(self) -> str:
        """Wait."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            EVENTS.append("cancelled")
            raise
        return "late"

    def plain(self) -> str:
        """Say where files are."""
        (self.context.folder / "a").write_text("a")
        return threading.current_thread().name

    def draw(self) -> ToolResult:
        """Draw."""
        files = [self.context.folder / "in" / "a.png", Path("/elsewhere/b.png")]
        return ToolResult(text="drawn", files=files)

    async def draw_late(self) -> ToolResult:
        """Draw."""
        return self.draw()

    async def meet(self) -> int:
        """Wait in a thread for all others."""
        return await asyncio.to_thread(MEETING.wait, 30)


MOST_OF_ASYNCIO = 32
"""Threads of a loop that has no pool of its own, on any machine."""
MEETING = threading.Barrier(MOST_OF_ASYNCIO + 1)
OFFER = Toolset(
    name="counter", summary="Count.", options={"broken": False, "n": 1, "x": 0.5, "text": None},
    open=f"{__name__}:open_counter",
)  # fmt: skip


class Offers:
    def get(self, record: type, name: str) -> Toolset:
        return OFFER


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    made: list[Toolsets] = []
    EVENTS.clear()
    monkeypatch.setattr(module.plugin, "load", lambda target: open_counter)

    def open_them(options: Any = (), **more: Any) -> Toolsets:
        registry = cast("Registry", Offers())
        made.append(Toolsets(["counter"], options, registry=registry, folder=tmp_path, **more))
        return made[-1]

    yield open_them
    for each in made:
        each.close()


def called(toolsets: Toolsets, conversation: str, *names: str) -> list[Any]:
    box = Toolbox(toolsets.functions(conversation))
    return box.run([ToolCall(name, "{}") for name in names])


def test_a_conversation_keeps_its_state_and_no_other_has_it(opened: Any) -> None:
    toolsets = opened()
    assert called(toolsets, "one", "add", "add") in (["1", "2"], ["2", "1"])
    assert called(toolsets, "two", "add") == ["1"]
    box = Toolbox(toolsets.functions("one"))
    assert asyncio.run(box.run_async([ToolCall("add", "{}")])) == ["3"]
    assert EVENTS == ["open one", "open two"]
    assert toolsets.folder_of("one") != toolsets.folder_of("two")
    assert toolsets.toolset_of("one")["add"] == "counter"
    toolsets.close()
    assert sorted(EVENTS[2:]) == ["close one", "close two"]


def test_a_late_call_is_cancelled(opened: Any) -> None:
    toolsets = opened()
    (said,) = called(toolsets, "one", "slow")
    assert said == "error: slow gave no answer within 0.1 s"
    end = time.monotonic() + 10
    while "cancelled" not in EVENTS:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_passing_conversation_leaves_nothing(opened: Any) -> None:
    toolsets = opened()
    name = toolsets.passing()
    assert called(toolsets, name, "plain") == ["tool-plain"]
    assert (toolsets.folder_of(name) / "a").exists()
    toolsets.end(name)
    assert not toolsets.folder_of(name).exists()
    called(toolsets, "kept", "plain")
    toolsets.end("kept")
    assert (toolsets.folder_of("kept") / "a").exists()
    assert called(toolsets, "kept", "add") == ["1"]  # opened again


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)


@pytest.mark.usefixtures("often")
def test_files_that_nobody_came_back_to_are_removed(opened: Any) -> None:
    toolsets = opened(kept=3600.0)
    called(toolsets, "old", "plain")
    called(toolsets, "new", "plain")
    toolsets.end("old")
    before = time.time() - 4000
    os.utime(toolsets.folder_of("old"), (before, before))
    until(lambda: not toolsets.folder_of("old").exists())
    assert toolsets.folder_of("new").exists()


@pytest.mark.usefixtures("often")
def test_beyond_all_that_is_kept_the_oldest_goes_first(opened: Any) -> None:
    toolsets = opened(most_kept=250_000)
    before = time.time() - 4000
    for age, name in enumerate(("open", "oldest", "older", "old")):
        called(toolsets, name, "plain")
        (toolsets.folder_of(name) / "large").write_bytes(bytes(100_000))
        if name != "open":
            toolsets.end(name)
        os.utime(toolsets.folder_of(name), (before + age, before + age))
    until(lambda: not toolsets.folder_of("older").exists())
    there = [toolsets.folder_of(name).exists() for name in ("open", "oldest", "older", "old")]
    assert there == [True, False, False, True]


@pytest.mark.usefixtures("often")
def test_a_conversation_that_nobody_uses_is_closed_though_no_request_comes(opened: Any) -> None:
    toolsets = opened(idle=0.0)
    toolsets.functions("held", hold=True)
    toolsets.functions("left")
    until(lambda: "close left" in EVENTS)
    assert "close held" not in EVENTS
    toolsets.release("held")
    until(lambda: "close held" in EVENTS)


def test_a_conversation_that_a_request_holds_is_not_closed_for_another(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 1)
    toolsets = opened()
    toolsets.functions("a", hold=True)
    with pytest.raises(EngineBusy):
        toolsets.functions("b")
    toolsets.release("a")
    toolsets.release("a")  # one too many holds and frees nothing
    toolsets.functions("b", hold=True)
    with pytest.raises(EngineBusy):
        toolsets.functions("a")
    assert EVENTS == ["open a", "close a", "open b"]


def test_two_requests_that_begin_one_conversation_open_it_once(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 1)
    toolsets = opened()
    toolsets.functions("old")

    async def both() -> None:
        await asyncio.gather(*(toolsets.functions_async("new") for _ in range(2)))

    asyncio.run(both())
    assert EVENTS == ["open old", "close old", "open new"]


def test_tools_have_threads_of_their_own(opened: Any) -> None:
    said = called(opened(), "one", *["meet"] * MEETING.parties)
    assert sorted(map(int, said)) == list(range(MEETING.parties))


@pytest.mark.parametrize("tool", ["draw", "draw_late"])
def test_a_file_is_told_by_the_name_by_which_it_can_be_fetched(opened: Any, tool: str) -> None:
    (drawn,) = called(opened(), "one", tool)
    assert outcome_fields(drawn)["files"] == ["in/a.png", "b.png"]


def test_unused_conversations_make_room(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 2)
    toolsets = opened()
    for name in ("a", "b", "c"):
        called(toolsets, name, "add")
    assert EVENTS == ["open a", "open b", "close a", "open c"]
    for one in toolsets._open.values():
        one.users = 1
    with pytest.raises(EngineBusy, match="2 conversations use tools now"):
        toolsets.functions("d")
    assert opened(idle=-1.0).functions("a")


def test_what_cannot_be_opened_is_an_error_and_may_be_later(opened: Any) -> None:
    with pytest.raises(RequestError, match="ValueError: it is broken"):
        opened({"counter.broken": True}).check()
    toolsets = opened()
    toolsets.check()
    assert [event.split()[0] for event in EVENTS] == ["open", "close"]


def test_options_have_the_type_of_their_defaults() -> None:
    given = ["counter.broken=yes", "counter.n=3", "counter.x=2", "counter.text=a=b"]
    found = options_of([OFFER], given)["counter"]
    assert found == {"broken": True, "n": 3, "x": 2.0, "text": "a=b"}
    assert options_of([OFFER])["counter"] == dict(OFFER.options)
    assert names_of(["a, b", "c,a", ""]) == ["a", "b", "c"]
    for wrong in (
        "counter.n=x",
        "counter.broken=2",
        "counter.n",
        "n=1",
        "other.n=1",
        "counter.m=1",
    ):
        with pytest.raises(UsageError):
            options_of([OFFER], [wrong])
