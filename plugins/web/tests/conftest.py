"""A browser, a server of ours with the embedded model, and a page in one that watches itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from plugins.server.tests.live_server import Live

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium: the one of TRAMONTANE_BROWSER, or that PATH has. It ends with its module: while it
    runs this thread has a running event loop, in which no other test could begin one."""
    api = pytest.importorskip("playwright.sync_api", reason="the package playwright is missing")
    path = os.environ.get("TRAMONTANE_BROWSER") or next(filter(None, map(shutil.which, NAMES)), "")
    if not path:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed (TRAMONTANE_BROWSER)")
    with api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream",
                   "--use-fake-ui-for-media-stream"]  # fmt: skip
        found = playwright.chromium.launch(executable_path=path, args=options)
        yield found
        found.close()


@pytest.fixture(scope="session")
def chat_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    from plugins.server.tests.live_server import serving

    with serving(tmp_path_factory.mktemp("web")) as live:
        yield live


@pytest.fixture
def open_page(browser: Browser, chat_server: Live) -> Iterator[Open]:
    """(url=None, **options of the context) -> the page, once it knows the models (unless
    models=False).

    Afterwards: nothing failed in a page, nothing was refused by its policy, nothing was asked of
    another host.
    """
    contexts: list[Any] = []
    wrong: list[str] = []

    def watch(page: Page, url: str) -> None:
        def said(message: Any) -> None:
            if (
                message.type in ("error", "warning")
                and "Failed to load resource" not in message.text
            ):
                wrong.append(f"{message.type}: {message.text}")

        page.on("console", said)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((url, "data:", "blob:"))
                else wrong.append(f"asked elsewhere: {request.url}")
            ),
        )

    def open_page(
        url: str | None = None, *, beside: Page | None = None, models: bool = True, **options: Any
    ) -> Page:
        url = url or chat_server.url
        if beside is None:
            context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
            contexts.append(context)
        else:
            context = beside.context
        page = context.new_page()
        watch(page, url)
        page.goto(f"{url}/")
        if models:
            page.wait_for_function("() => document.querySelector('select.model')?.value")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong, "\n".join(wrong)
