"""`python -m plugins.web.tests.measure`: the figures of docs/web.md, on this machine.

First paint and the models' names of a server of ours, from opening an empty tab; the time from a
piece of an answer in the page's hands to the frame that shows it; processor time of an open page
and its server in which nothing happens; the longest task in a chat of 2,000 messages."""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from plugins.server.tests.live_server import serving

from .scripted import say
from .stub_server import stub
from .test_stub import MANY

TIMES = 7
IDLE = 20
SHOWN = """() => { window.delays = []; const read = ReadableStreamDefaultReader.prototype.read;
ReadableStreamDefaultReader.prototype.read = async function () {
    const found = await read.call(this), at = performance.now();
    requestAnimationFrame(() => setTimeout(() => window.delays.push(performance.now() - at)));
    return found;
}; }"""
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def seconds(pid: int) -> float:
    """Processor time of a process so far."""
    used = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(used[11]) + int(used[12])) / 100


def children(parent: int) -> list[int]:
    """A process and all below it."""
    found = [parent]
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        for child in task.read_text().split():
            found += children(int(child))
    return found


def browsers() -> list[int]:
    """Processes of Chromium that this process started."""
    own = children(int(Path("/proc/self").readlink().name))
    return [pid for pid in own if "chrom" in Path(f"/proc/{pid}/comm").read_text()]


def main() -> None:
    path = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        with serving(Path(folder)) as live:
            paints = []
            for _ in range(TIMES):
                page = browser.new_context().new_page()
                page.goto(f"{live.url}/")
                paints.append(page.wait_for_function(PAINT).json_value())
                page.close()
            print(f"first paint: {statistics.median(paints):.0f} ms, least {min(paints):.0f} ms")
            page = browser.new_context().new_page()
            page.goto(f"{live.url}/")
            page.wait_for_timeout(3000)
            pids = [*browsers(), live.process.pid]
            before = {pid: seconds(pid) for pid in pids}
            time.sleep(IDLE)
            used = {pid: seconds(pid) - before[pid] for pid in pids}
            server = used.pop(live.process.pid)
            print(
                f"idle: page {sum(used.values()) / IDLE:.2%}, server {server / IDLE:.2%} of a core"
            )
            page.close()
        with stub() as server_:
            page = browser.new_context().new_page()
            page.goto(server_.url)
            page.wait_for_function("() => document.querySelector('select.model')?.value")
            delays(server_, page)
            long_chat(server_, page)
        browser.close()


def delays(server: Any, page: Any) -> None:
    page.evaluate(SHOWN)
    say(page, "Go")
    for at in range(200):
        server.say(f"word{at} ")
        time.sleep(0.02)
    server.end()
    page.wait_for_timeout(500)
    found = sorted(page.evaluate("() => window.delays"))
    print(f"token on screen: median {statistics.median(found):.1f} ms, "
          f"95 of 100 within {found[len(found) * 95 // 100]:.1f} ms")  # fmt: skip


def long_chat(server: Any, page: Any) -> None:
    """Tasks by their thread's processor time, which other programs do not lengthen."""
    page.evaluate(MANY, 2000)
    page.reload()
    page.wait_for_function("() => document.querySelector('select.model')?.value")
    browser = page.context.browser
    browser.start_tracing(page=page, categories=["toplevel", "__metadata"])
    page.evaluate("document.querySelector('.chat-row a').click()")
    page.wait_for_timeout(5000)
    for place in (0.7, 0.2, 0.5, 0, 1):
        page.evaluate("at => document.querySelector('main').scrollTo(0, at * 2e5)", place)
        page.wait_for_timeout(300)
    say(page, "One more")
    server.say(*["word "] * 20)
    server.end()
    page.wait_for_timeout(500)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    names = [one for one in events if one["name"] == "thread_name"]
    mains = {(one["pid"], one["tid"]) for one in names if one["args"]["name"] == "CrRendererMain"}
    found = sorted(
        (one["tdur"] / 1000 for one in events if (one["pid"], one["tid"]) in mains
         and one.get("ph") == "X" and "RunTask" in one["name"] and "tdur" in one),
        reverse=True,
    )  # fmt: skip
    longest = ", ".join(f"{each:.0f}" for each in found[:5])
    print(f"longest tasks in a chat of 2,000 messages: {longest} ms of {len(found)}")


if __name__ == "__main__":
    main()
