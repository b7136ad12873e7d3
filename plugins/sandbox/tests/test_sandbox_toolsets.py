"""The toolsets `python` and `shell`, as an agent opens and calls them."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tramontane.chat.toolbox import Toolbox
from tramontane.errors import TramontaneError
from tramontane.plugin import Toolset, load
from tramontane.registry import Registry
from tramontane.tools import ToolCall, ToolResult
from tramontane.toolset import ToolContext
from tramontane_plugin_sandbox.cancelling import in_thread
from tramontane_plugin_sandbox.running import Running, Stop

Use = Callable[[Any], Awaitable[Any]]


def context(offer: Toolset, folder: Path, media: frozenset[str], **options: object) -> ToolContext:
    return ToolContext(
        conversation="one", folder=folder, media=media, options={**offer.options, **options}
    )


def opened(
    name: str, folder: Path, use: Use, media: frozenset[str] = frozenset(), **options: object
) -> Any:
    """What `use` makes of an open session."""
    offer = Registry.from_environment().get(Toolset, name)

    async def within() -> Any:
        async with load(offer.open)(context(offer, folder, media, **options)) as session:
            return await use(session)

    try:
        return asyncio.run(within())
    except TramontaneError as error:
        if "this machine gives no sandbox" in error.message:
            pytest.skip(error.message)
        raise


def test_python_answers_as_text(tmp_path: Path) -> None:
    async def use(tools: Any) -> list[str]:
        codes = ("import sys; a = 2; print('p'); print('e', file=sys.stderr); a + 1", "a = 3",
                 "open('f.txt', 'w').write('x'); 1 / 0")  # fmt: skip
        return [(await tools.python(code)).text for code in codes]

    first, second, third = opened("python", tmp_path, use)
    assert first == "p\n[stderr]\ne\n3"
    assert second == "[no output]"
    assert third.endswith("ZeroDivisionError: division by zero\n[files written: f.txt]")
    assert (tmp_path / "f.txt").read_text() == "x"


DRAW = "open('a.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n1234'); None"


def test_pictures_go_to_models_that_see(tmp_path: Path) -> None:
    async def use(tools: Any) -> ToolResult:
        result: ToolResult = await tools.python(DRAW)
        return result

    blind = opened("python", tmp_path, use)
    assert (blind.images, blind.files) == ([], [tmp_path / "a.png"])
    seeing = opened("python", tmp_path, use, frozenset({"image"}))
    assert seeing.images == [b"\x89PNG\r\n\x1a\n1234"]
    assert seeing.text == "[files written: a.png]"


def test_calls_at_once_share_one_session(tmp_path: Path) -> None:
    async def use(tools: Any) -> list[str]:
        toolbox = Toolbox(tools.functions())
        codes = ["n = 1", "n += 1; n", "n += 1; n"]
        calls = [ToolCall("python", json.dumps({"code": code})) for code in codes]
        return [result.text for result in await toolbox.run_async(calls)]

    assert opened("python", tmp_path, use) == ["[no output]", "2", "3"]


def test_reset_forgets(tmp_path: Path) -> None:
    async def use(tools: Any) -> str:
        await tools.python("a = 1")
        await tools.python_reset()
        return str((await tools.python("a")).text)

    assert "NameError" in opened("python", tmp_path, use)


@pytest.mark.parametrize(
    ("name", "call"), [("python", "import time; time.sleep(60)"), ("shell", "sleep 60")]
)
def test_a_call_that_is_cancelled_ends_at_once(tmp_path: Path, name: str, call: str) -> None:
    async def use(tools: Any) -> bool:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(getattr(tools, name)(call), 0.4)
        return time.monotonic() - begun < 30  # of the sixty that it would take

    assert opened(name, tmp_path, use)


def test_a_program_is_ended_though_all_threads_wait_for_programs() -> None:
    begun, stopped, ended = threading.Event(), threading.Event(), list[bool]()

    def run(stop: Stop) -> None:
        stop.of(cast("Running", SimpleNamespace(stop=stopped.set)))
        begun.set()
        ended.append(stopped.wait(10))

    async def cancelled() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        waiting = asyncio.create_task(in_thread(run))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])

    asyncio.run(cancelled())
    assert ended == [True]


def test_a_name_that_is_no_text_and_one_in_a_folder_are_told(tmp_path: Path) -> None:
    async def use(tools: Any) -> ToolResult:
        code = "import os; os.mkdir('in'); open('in/a', 'w'); open(b'b\\xff', 'w'); None"
        result: ToolResult = await tools.python(code)
        return result

    said = opened("python", tmp_path, use)
    assert said.text == "[files written: b\ufffd, in/a]"
    assert said.files == [tmp_path / "b\ufffd", tmp_path / "in" / "a"]


def test_shell_says_output_status_and_files(tmp_path: Path) -> None:
    async def use(tools: Any) -> list[str]:
        lines = ("echo out; echo err >&2; echo x > made; exit 3", "cat made", "kill -9 $$")
        return [(await tools.shell(line)).text for line in lines]

    assert opened("shell", tmp_path, use) == [
        "out\n[stderr]\nerr\n[exit status 3]\n[files written: made]",
        "x",
        "[killed by signal 9]",
    ]


def test_the_owners_options_are_its_bounds(tmp_path: Path) -> None:
    async def use(tools: Any) -> str:
        return str((await tools.shell("ulimit -d; sleep 9")).text)

    assert opened("shell", tmp_path, use, memory=128, seconds=0.3) == (
        "131072\n[killed: 0.3 seconds were over]"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sandbox": "none"}, "sandbox 'none': must be auto, bubblewrap, namespaces"),
        ({"memory": 1}, "memory=1048576: at least"),
        ({"read": "/nowhere/at/all"}, "cannot show /nowhere/at/all"),
        ({"seconds": 0.0}, "seconds=0.0: at least"),
    ],
)
def test_options_that_cannot_be_are_refused(
    tmp_path: Path, options: dict[str, object], said: str
) -> None:
    async def use(tools: Any) -> None:
        return None

    with pytest.raises(TramontaneError, match=said):
        opened("python", tmp_path, use, **options)
