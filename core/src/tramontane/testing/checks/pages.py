"""What every page must be: at a path that can be, and there."""

from __future__ import annotations

import re
from inspect import signature

from tramontane.pages import INDEX, check_path, read_files
from tramontane.plugin import Page, load

ELSEWHERE = re.compile(
    rb"""<(?:script|link|img|iframe)\b[^>]*\s(?:src|href)\s*=\s*["']?\s*(?:https?:)?//""",
    re.IGNORECASE,
)
INLINE = re.compile(rb"<script(?![^>]*\ssrc)|<style|\sstyle\s*=|\son[a-z]+\s*=", re.IGNORECASE)


def test_the_path_can_be(offer: Page) -> None:
    check_path(offer)


def test_the_summary_is_one_line(offer: Page) -> None:
    assert offer.summary.strip() == offer.summary != "", "summary= is what listings say"
    assert "\n" not in offer.summary


def test_what_it_shows_is_there(offer: Page) -> None:
    if offer.app is not None:
        app = load(offer.app)()
        assert callable(app), f"{offer.app} returns {app!r}; it must return an ASGI application"
        assert len(signature(app).parameters) == 3, "an ASGI application takes scope, receive, send"
        return
    for name, data in read_files(offer).items():
        if name.endswith(".html"):
            assert not ELSEWHERE.search(data), (
                f"{name} loads from another host; servers refuse that"
            )
            assert not INLINE.search(data), (
                f"{name} has inline scripts or styles; servers refuse them"
            )
    assert read_files(offer)[INDEX], f"{INDEX} is empty"
