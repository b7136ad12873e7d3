"""A server with an API key: the page asks once."""

from __future__ import annotations

import os

import pytest

from .conftest import Open
from .scripted import answered, say

pytestmark = pytest.mark.skipif(
    os.environ.get("TRAMONTANE_FULL") != "1", reason="TRAMONTANE_FULL is not 1"
)


def test_the_key_is_asked_for_once(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from plugins.server.tests.live_server import serving

    with serving(tmp_path_factory.mktemp("key"), "--api-key", "sk-secret") as live:
        page = open_page(live.url, models=False)
        box = page.get_by_role("textbox", name="API key")
        box.fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("The server does not know this key.").wait_for()
        box.fill("sk-secret")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelector('select.model')?.value === 'default'")
        say(page, "Hello")
        answered(page)
        page.reload()
        page.wait_for_function("() => document.querySelector('select.model')?.value === 'default'")
        assert page.locator("dialog").count() == 0
        assert "sk-secret" not in page.content() + page.url + live.log.read_text()
